"""The time that a request may take."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.accounts.deadline import Deadline, ran_out_of_time


def time_for_a_request() -> AbstractContextManager[None]:
    """Give the database REQUEST_SECONDS for all that it does inside; 0 is without end."""
    seconds = settings.REQUEST_SECONDS
    return Deadline(seconds) if seconds else nullcontext()


class RequestDeadline:
    """Middleware: gives the database REQUEST_SECONDS for each request, and answers 503 for a page that took longer.

    Only requests are limited. Commands may take their time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap all that is inside."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        with time_for_a_request():
            return self.get_response(request)

    def process_exception(self, _request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Say so when a page took too long; GraphQL tells of its own errors."""
        if not ran_out_of_time(exception):
            return None
        taken = f"longer than {settings.REQUEST_SECONDS:g} seconds"
        answer = HttpResponse(f"This took {taken} and was stopped.\n", content_type="text/plain; charset=utf-8")
        answer.status_code, answer.reason_phrase = HTTPStatus.SERVICE_UNAVAILABLE, f"Took {taken}"  # the log has it
        return answer
