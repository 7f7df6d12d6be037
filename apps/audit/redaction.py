"""What the audit trail holds of a value: JSON, and nothing that tells of a person what is nobody's business."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from apps.accounts.records import EMPTY, Versioned

REDACTED: Final = "[redacted]"

LOCAL: Final = r"[\w.!#$%&'*+/=?^`{|}~-]"
"""What stands before the @ of an address (RFC 5322, atext)."""

EMAIL: Final = re.compile(rf"(?<!{LOCAL}){LOCAL}++@[\w-]+(?:\.[\w-]+)+")
SEPARATOR: Final = r"[ \t\u00a0\u2009\u202f./()\u2010-\u2014-]"
NUMBER: Final = re.compile(rf"(?:\+ ?)?\(?\d+(?:{SEPARATOR}{{1,2}}\d+)*")
"""Digits as people group them when they write numbers that are called, or cards (ITU-T E.123, ISO/IEC 7812)."""

FEWEST: Final = 8
"""Digits of a telephone number; one of seven is told from a part number by its being grouped, as 555-1234."""

DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
MONTH: Final = r"(?:0?[1-9]|1[0-2])"
YEAR: Final = r"(?:19|20)\d\d"
DATE: Final = re.compile(
    rf"\(?(?:{YEAR}([./-]){MONTH}\1{DAY}|{DAY}([./-]){MONTH}\2{YEAR}|{MONTH}([./-]){DAY}\3{YEAR})(?: \d{{1,2}})?"
)
"""A day, and perhaps the hour: as many digits as a telephone number, and none."""


def scrub(text: str) -> str:
    """Return a text without the e-mail addresses, telephone numbers and card numbers in it.

    It takes time in proportion to the text, whatever stands in it.
    """
    return NUMBER.sub(_redacted, EMAIL.sub(REDACTED, text))


def _redacted(found: re.Match[str]) -> str:
    """Return what is left of grouped digits; those that touch letters are part of a code (WO-000123, 6205-2RS1)."""
    run, text = found[0], found.string
    groups = [group.span() for group in re.finditer(r"\d+", run)]
    start, end = 0, len(run)
    if run[0].isdecimal() and re.search(r"\w-?\Z", text[max(0, found.start() - 2) : found.start()]):
        groups = groups[1:]
        start = groups[0][0] if groups else end
    if re.match(r"\w", text[found.end() : found.end() + 1]):
        groups = groups[:-1]
        end = groups[-1][1] if groups else start
    return f"{run[:start]}{REDACTED}{run[end:]}" if _is_personal(run[start:end]) else run


def _is_personal(number: str) -> bool:
    digits = sum(character.isdecimal() for character in number)
    grouped = digits == FEWEST - 1 and not number.strip("(").isdecimal()
    return (digits >= FEWEST or grouped) and not DATE.fullmatch(number)


def shown(model: type[Versioned], field: str, value: Any) -> Any:
    """Return what the trail holds of a field's value: None for nothing, a time as ISO 8601 in UTC."""
    if value in EMPTY:
        return None
    if field in model.personal:
        return REDACTED
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return scrub(value) if field in model.free_text else value
