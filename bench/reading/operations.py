"""The operations: as documents of our API, and as those of the API that PostGraphile makes of the same tables.

PostGraphile's fields are renamed to ours, which costs it nothing and makes the answers comparable. It has `serial`
for our `number`.
"""

from typing import Final

OUR_ROW: Final = """id number title status priority version dueAt createdAt updatedAt
    asset { id code name site { id name } } assignee { id name }"""
ROW: Final = """id number: serial title status priority version dueAt createdAt updatedAt
    asset: assetsAssetByTenantIdAndAssetId { id code name site: assetsSiteByTenantIdAndSiteId { id name } }
    assignee: accountsUserByTenantIdAndAssigneeId { id name }"""

OUR_NESTED: Final = """id number title status
    tasks(first: 5) { edges { node { id title status version } } }
    history(first: 5) { edges { node { id at action entityVersion } } }"""
NESTED: Final = """id number: serial title status
    tasks: tasksTasksByTenantIdAndWorkOrderId(first: 5, orderBy: [PRIMARY_KEY_DESC]) {
        edges { node { id title status version } } }
    history(first: 5) { edges { node { id at action entityVersion } } }"""

PAGE_INFO: Final = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


def _ours(name: str, row: str, count: str = "") -> str:
    return f"""query {name}($first: Int, $after: String, $filters: WorkOrderFilter, $ordering: [WorkOrderOrder!]) {{
    workOrders(first: $first, after: $after, filters: $filters, ordering: $ordering) {{
        {count} edges {{ cursor node {{ {row} }} }} {PAGE_INFO} }} }}"""


def _postgraphile(name: str, row: str, count: str = "") -> str:
    return f"""query {name}($first: Int, $after: Cursor, $condition: WorkOrdersWorkorderCondition!) {{
    workOrders: allWorkOrdersWorkorders(first: $first, after: $after, condition: $condition, orderBy: [DUE_AT_ASC]) {{
        {count} edges {{ cursor node {{ {row} }} }} {PAGE_INFO} }} }}"""


LIST, NESTED_LIST, COUNTED_LIST, DEEP_LIST, NODE, TRANSITION = NAMES = (
    "WorkOrderList",
    "WorkOrderNestedList",
    "WorkOrderCountedList",
    "WorkOrderDeepList",
    "WorkOrderNode",
    "SubmitWorkOrder",
)

OURS: Final = {
    LIST: _ours(LIST, OUR_ROW),
    NESTED_LIST: _ours(NESTED_LIST, OUR_NESTED),
    COUNTED_LIST: _ours(COUNTED_LIST, OUR_ROW, "totalCount"),
    DEEP_LIST: _ours(DEEP_LIST, OUR_ROW),
    NODE: f"query {NODE}($id: ID!) {{ node(id: $id) {{ ... on WorkOrder {{ {OUR_ROW} }} }} }}",
    TRANSITION: f"""mutation {TRANSITION}($input: TransitionWorkOrderInput!) {{
    transitionWorkOrder(input: $input) {{
        ... on WorkOrder {{ id status version }} ... on MutationError {{ errorCode message }} }} }}""",
}
POSTGRAPHILE: Final = {
    LIST: _postgraphile(LIST, ROW),
    NESTED_LIST: _postgraphile(NESTED_LIST, NESTED),
    COUNTED_LIST: _postgraphile(COUNTED_LIST, ROW, "totalCount"),
    DEEP_LIST: _postgraphile(DEEP_LIST, ROW),
    NODE: f"query {NODE}($id: ID!) {{ node(id: $id) {{ ... on WorkOrdersWorkorder {{ {ROW} }} }} }}",
    TRANSITION: f"""mutation {TRANSITION}($input: ReadingSubmitWorkOrderInput!) {{
    transitionWorkOrder: readingSubmitWorkOrder(input: $input) {{ result {{ id status version }} }} }}""",
}
