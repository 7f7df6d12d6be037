"""The bare application's statements: plain columns, and joins that come after the limit and stay there."""

from typing import Final

COLUMNS: Final = """w.id, w.serial, w.title, w.status, w.priority, w.version, w.due_at, w.created_at, w.updated_at,
    a.id, a.code, a.name, s.id, s.name, u.id, u.name"""
JOINS: Final = """
LEFT JOIN LATERAL (SELECT id, code, name, site_id FROM assets_asset WHERE id = w.asset_id OFFSET 0) a ON true
LEFT JOIN LATERAL (SELECT id, name FROM assets_site WHERE id = a.site_id OFFSET 0) s ON true
LEFT JOIN LATERAL (SELECT id, name FROM accounts_user WHERE id = w.assignee_id OFFSET 0) u ON true
"""
FROM: Final = "SELECT * FROM work_orders_workorder WHERE tenant_id = $1"

LIST: Final = f"""SELECT {COLUMNS}
FROM ({FROM} AND status = $2 ORDER BY due_at, id LIMIT {{}}) w {JOINS} ORDER BY w.due_at, w.id"""  # noqa: S608 - constants

PLAIN_LIST: Final = f"""SELECT {COLUMNS}
FROM ({FROM} AND (due_at, id) > ($2::timestamptz, $3) ORDER BY due_at, id LIMIT {{}}) w {JOINS}
ORDER BY w.due_at, w.id"""  # noqa: S608 - constants

NODE: Final = f"SELECT {COLUMNS} FROM ({FROM} AND id = $2) w {JOINS}"  # noqa: S608 - constants

COUNT: Final = "SELECT count(*) FROM work_orders_workorder WHERE tenant_id = $1 AND status = $2"

TASKS: Final = """SELECT o.id, t.* FROM unnest($2::bigint[]) o (id) CROSS JOIN LATERAL (
    SELECT id, title, status, version FROM tasks_task WHERE tenant_id = $1 AND work_order_id = o.id
    ORDER BY id DESC LIMIT 5) t"""

HISTORY: Final = """SELECT o.id, h.* FROM unnest($2::bigint[]) o (id) CROSS JOIN LATERAL (
    SELECT id, at, action, entity_version FROM audit_auditentry
    WHERE tenant_id = $1 AND entity_kind = 'WorkOrder' AND entity_id = o.id ORDER BY id DESC LIMIT 5) h"""

SUBMIT: Final = "SELECT id, status, version FROM reading.submit_work_order($1, $2, $3, $4)"
