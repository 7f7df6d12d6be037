"""What a replica has to do with pages: they are read from the primary, and what they write is noted."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User
from apps.replica.marks import note_write
from schema.budget import client_of

from .compression import GRAPHQL

SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


def writes_noted(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Note that whoever posts to a page may have written, so that what they ask for by GraphQL then shows it.

    Operations of GraphQL see to it themselves.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        user = request.user
        if request.method not in SAFE and request.path_info != GRAPHQL and isinstance(user, User):
            note_write(client_of(user))
        return response

    return handle
