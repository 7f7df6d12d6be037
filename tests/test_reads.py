"""Lists and nodes over HTTP, as a client sees them."""

from apps.accounts.models import Tenant, User
from schema.reads.global_id import encode_id
from tests import factories
from tests.conftest import Ask


def test_a_list_shows_rows_with_what_they_refer_to(ask: Ask, technician: User, demo: Tenant) -> None:
    asset = factories.asset(demo)
    order = factories.work_order(demo, asset=asset, assignee=technician)
    answer = ask(
        technician,
        """{ workOrders {
          totalCount
          edges {
            cursor
            node { id number title status priority version asset { code site { name } } assignee { name } }
          }
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        } }""",
    )
    (edge,) = answer["data"]["workOrders"]["edges"]
    assert answer["data"]["workOrders"]["totalCount"] == 1
    assert answer["data"]["workOrders"]["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": edge["cursor"],
        "endCursor": edge["cursor"],
    }
    assert edge["node"] == {
        "id": encode_id("WorkOrder", order.pk),
        "number": order.number,
        "title": "Replace pump seal",
        "status": "DRAFT",
        "priority": "MEDIUM",
        "version": 1,
        "asset": {"code": asset.code, "site": {"name": asset.site.name}},
        "assignee": {"name": technician.name},
    }
