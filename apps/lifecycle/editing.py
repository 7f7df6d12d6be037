"""Who may enter which fields of an entity, declared with its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from django.db.models import Q

from .actors import TECHNICIAN, Who


class Fit(NamedTuple):
    """What a reference may lead to: a condition, and what to say of a row that does not fulfil it.

    `held` keeps the row as it is until the reference is written, for conditions that others may end at that moment.
    """

    condition: Q
    otherwise: str
    held: bool = False


WORKER: Final = Fit(
    Q(is_active=True, role__in=sorted(TECHNICIAN.roles)),
    "Choose somebody who can do the work: an active person with the role TECHNICIAN at least.",
)


@dataclass(frozen=True, slots=True)
class Editing:
    """The fields that people enter, in the order in which forms show them, and who may.

    `who` creates and edits; `only` names fields that fewer people may change, `fits` what references may lead to.
    """

    who: Who
    fields: tuple[str, ...]
    only: Mapping[str, Who] = field(default_factory=dict)
    fits: Mapping[str, Fit] = field(default_factory=dict)
