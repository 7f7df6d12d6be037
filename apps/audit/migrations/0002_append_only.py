"""Let the database itself refuse to change the audit trail."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' AND current_setting('workgraph.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'Entries of the audit trail are never changed: % refused.', TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'manage.py prune_audit removes entries whose time is up.';
END
$$;
"""
ROWS = """
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_auditentry
FOR EACH ROW EXECUTE FUNCTION audit_append_only();
"""
TABLE = """
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit_auditentry
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION audit_append_only();"),
        migrations.RunSQL(ROWS, "DROP TRIGGER audit_append_only ON audit_auditentry;"),
        migrations.RunSQL(TABLE, "DROP TRIGGER audit_not_emptied ON audit_auditentry;"),
    ]
