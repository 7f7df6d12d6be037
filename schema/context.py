"""What resolvers know of the request."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User

from .errors import UnauthenticatedError


@dataclass(frozen=True, slots=True)
class Context:
    """The request an operation came with."""

    request: HttpRequest
    response: HttpResponse

    @property
    def actor(self) -> User:
        """Return the user the request acts for.

        Raises UnauthenticatedError when nobody is logged in.
        """
        user = self.request.user
        if not isinstance(user, User):
            raise UnauthenticatedError("Log in, or send `Authorization: Bearer <token>`.")
        return user
