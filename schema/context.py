"""What resolvers know of the request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest

from apps.accounts.models import User

from .errors import UnauthenticatedError

if TYPE_CHECKING:
    from .budget import Charge

UNAUTHENTICATED: Final = "Log in, or send `Authorization: Bearer <token>`."


@dataclass(slots=True)
class Context:
    """Whom an operation is for, and what it costs."""

    actor: User
    price: int = 0
    charge: "Charge | None" = None


def actor_of(request: HttpRequest) -> User:
    """Return the user that a request acts for.

    Raises UnauthenticatedError when nobody is logged in.
    """
    user = request.user
    if not isinstance(user, User):
        raise UnauthenticatedError(UNAUTHENTICATED)
    return user
