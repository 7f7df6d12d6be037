"""What the audit trail holds of a value: JSON, and nothing that tells of a person what is nobody's business."""

import re
from datetime import datetime
from typing import Any, Final

from apps.accounts.records import EMPTY, Versioned

REDACTED: Final = "[redacted]"

EMAIL: Final = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
# From seven digits on, grouped by spaces, dots, dashes, slashes or brackets, as people write numbers that are called
# (ITU-T E.123, E.164: up to fifteen digits) and card numbers (ISO/IEC 7812: twelve to nineteen).
DIGITS: Final = r"(?<![\w.-])\+?\(?\d(?:[ ./()-]{0,2}\d){6,18}(?!\w)"
PERSONAL_DATA: Final = re.compile(f"{EMAIL}|{DIGITS}")
HARMLESS: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2})?|\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{7}")
"""What has as many digits as a telephone number and is none: dates, and part numbers of seven digits in a row."""


def scrub(text: str) -> str:
    """Return a text without the e-mail addresses, telephone numbers and card numbers in it."""
    return PERSONAL_DATA.sub(_replacement, text)


def shown(model: type[Versioned], field: str, value: Any) -> Any:
    """Return what the trail holds of a field's value: None for nothing, a time as ISO 8601 in UTC."""
    if value in EMPTY:
        return None
    if field in model.personal:
        return REDACTED
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return scrub(value) if field in model.free_text else value


def _replacement(found: re.Match[str]) -> str:
    return found[0] if HARMLESS.fullmatch(found[0]) else REDACTED
