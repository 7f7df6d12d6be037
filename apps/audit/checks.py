"""What `manage.py check` says of the audit trail."""

from django.conf import settings
from django.core import checks


@checks.register("audit")
def check_changes_are_recorded(**_: object) -> list[checks.CheckMessage]:
    """Warn while changes are not recorded (audit.W001)."""
    if settings.ENABLE_AUDIT_SIGNALS:
        return []
    hint = "What is changed meanwhile can never be told later: set ENABLE_AUDIT_SIGNALS=1 as soon as you can."
    return [checks.Warning("ENABLE_AUDIT_SIGNALS is off: changes are not recorded.", hint=hint, id="audit.W001")]
