"""From what somebody entered to what a column can hold, or a sentence that says why it can't."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.db.models import Q

from apps.accounts.constraints import SameTenant
from apps.accounts.records import EMPTY

from .editing import Fit
from .errors import Problem, ValidationFailedError
from .models import Entity

MAX_COMMENT: Final = 10_000
"""How many characters a comment may have."""

CONTROL: Final = "Take out the NUL character, or half a surrogate pair."


def enter(entity: Entity, values: Mapping[str, Any]) -> None:
    """Set fields of an entity in memory, given by name; a reference by the key of what it leads to.

    None clears a field. Raises ValidationFailedError with everything that is wrong, with each field or then with the
    whole.
    """
    problems: list[Problem] = []
    for name, value in values.items():
        field: Any = entity._meta.get_field(name)
        try:
            entered = reference(entity, field, value) if field.is_relation else clean(field, value)
            if entered not in EMPTY or getattr(entity, field.attname) not in EMPTY:  # nothing stays as it is stored
                setattr(entity, field.attname, entered)
        except ValidationError as error:
            problems += [Problem(field.attname, message) for message in error.messages]
    if problems or (problems := _whole(entity)):
        raise ValidationFailedError(problems)


def clean(field: Any, value: Any) -> Any:
    """Return what a column holds for a value that somebody entered.

    Raises ValidationError with a sentence for each thing that is wrong with it.
    """
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, str) and not is_storable(value):
        raise ValidationError(CONTROL)
    if value is None or value == "":
        return _nothing(field)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError("Enter a finite number.")
    return field.clean(value, None)


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold a text: it holds neither NUL nor half a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def in_utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is.

    Raises OverflowError when it lies outside the years 1 to 9999 there.
    """
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def comment_problems(comment: str) -> list[Problem]:
    """Return what is wrong with a comment."""
    if len(comment) > MAX_COMMENT:
        return [Problem("comment", f"A comment may have {MAX_COMMENT} characters; this one has {len(comment)}.")]
    return [] if is_storable(comment) else [Problem("comment", CONTROL)]


@contextmanager
def violations_refused(model: type[models.Model]) -> Iterator[None]:
    """Refuse what a constraint of the model's table refuses, in words, and with the column it is about."""
    try:
        yield
    except IntegrityError as error:
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        found = [constraint for constraint in model._meta.constraints if constraint.name == name]
        if not found:
            raise
        raise ValidationFailedError([_violation(model, found[0])]) from error


def _whole(entity: Entity) -> list[Problem]:
    try:
        entity.clean()
    except ValidationError as error:
        told = error.message_dict
        return [
            Problem(_column(type(entity), name), message) for name, messages in told.items() for message in messages
        ]
    return []


def _violation(model: type[models.Model], constraint: Any) -> Problem:
    if isinstance(constraint, SameTenant):
        return Problem(_column(model, constraint.field), _nowhere(model._meta.get_field(constraint.field)))
    if isinstance(constraint, models.UniqueConstraint):
        return Problem(_column(model, constraint.fields[-1]), "This is taken already. Choose another.")
    first = _first_lookup(constraint.condition).split("__")[0]
    return Problem(_column(model, first), str(constraint.get_violation_error_message()))


def _column(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return str(field.attname)


def _first_lookup(condition: Any) -> str:
    child = condition.children[0]
    return _first_lookup(child) if isinstance(child, Q) else str(child[0])


def _nothing(field: Any) -> Any:
    if field.null:
        return None
    if field.blank and field.empty_strings_allowed:
        return ""
    raise ValidationError("This can't be empty.")


def _moment(value: datetime) -> datetime:
    try:
        return in_utc(value)
    except OverflowError as error:
        raise ValidationError("Enter a time in the years 1 to 9999.") from error


def reference(entity: Entity, field: Any, key: int | None) -> int | None:
    """Return the key that a reference of an entity holds when somebody chooses this one.

    Raises ValidationError for what is not there, and for what does not fit.
    """
    if key is None:
        empty: int | None = _nothing(field)
        return empty
    if not entity._state.adding and key == getattr(entity, field.attname):
        return key  # what is equal stays, whether or not one could choose it today
    fit: Fit | None = entity.editing.fits.get(field.name)
    rows = field.related_model._default_manager.filter(pk=key)
    if fit is None and not rows.exists():
        raise ValidationError(_nowhere(field))
    if fit and not _holds(fit, rows):
        raise ValidationError(fit.otherwise if rows.exists() else _nowhere(field))
    return key


def _holds(fit: Fit, rows: models.QuerySet[Any]) -> bool:
    fitting = rows.filter(fit.condition)
    return bool((fitting.select_for_update(no_key=True) if fit.held else fitting).values_list("pk"))


def _nowhere(field: Any) -> str:
    return f"There is no {field.related_model._meta.verbose_name} with this id."
