"""Where a change comes from: by which door, from whom, under which correlation id.

The middleware says so for each request, a command for itself. What is written outside of both (a shell, Django's own
commands) comes from the program that runs.
"""

import re
import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from django.db import models

from .scopes import Held

WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
"""A correlation id that is taken over from a client."""


class AuditSource(models.TextChoices):
    """By which door a change came in."""

    GRAPHQL = "graphql", "A GraphQL operation"
    REST = "rest", "A REST request"
    ADMIN = "admin", "The admin site"
    COMMAND = "command", "A command of the operator"


@dataclass(frozen=True, slots=True)
class Origin:
    """By which door a change comes in, by whom, and with which request.

    A user is given by their key and their tenant's; a command by its name.
    """

    source: AuditSource
    user_id: int | None = None
    user_tenant_id: int | None = None
    command: str = ""
    correlation_id: str = ""


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current_origin() -> Origin:
    """Return where what is being written comes from; outside any request and command, from the program that runs."""
    return _origin.get() or Origin(AuditSource.COMMAND, command=_program())


def origin_scope(origin: Origin) -> AbstractContextManager[None]:
    """Let what is written inside come from there."""
    return Held(_origin, origin)


def command_scope(name: str) -> AbstractContextManager[None]:
    """Let what is written inside come from this command, under a correlation id of its own."""
    return origin_scope(Origin(AuditSource.COMMAND, command=name, correlation_id=new_correlation_id()))


def sent_by(user_id: int, tenant_id: int) -> Origin:
    """Return the origin at hand, with the user that turned out to have sent the request."""
    arrived = current_origin()
    return Origin(arrived.source, user_id, tenant_id, correlation_id=arrived.correlation_id)


def correlation_id() -> str:
    """Return the id that ties together all that one request does; empty outside of any."""
    origin = _origin.get()
    return origin.correlation_id if origin else ""


def new_correlation_id(proposed: str = "") -> str:
    """Return the id that a client proposes, if it is well-formed, or else a new one."""
    return proposed if WELL_FORMED.fullmatch(proposed) else uuid4().hex


def _program() -> str:
    path = Path(sys.argv[0] or "python")
    named = sys.argv[1:2] if path.name in {"manage.py", "django-admin", "__main__.py"} else []
    return (named or [path.name])[0][:100]
