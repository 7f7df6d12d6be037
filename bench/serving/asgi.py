"""The application for the ASGI servers, with what `project.wsgi` gives the WSGI servers."""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIHandler


def application() -> ASGIHandler:
    """Return Django's ASGI handler, which runs our sync code in threads, with room on their stacks."""
    settings.MIDDLEWARE = ["project.stack.roomy", *settings.MIDDLEWARE]
    return get_asgi_application()
