"""What a person sees when a save lost a race that no form could settle."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def conflict_page(request: HttpRequest, target: Any = None) -> HttpResponse:
    """Answer a RecordModifiedError that left a view: nothing was saved, and here is the way on."""
    kind = target._meta.verbose_name if target is not None else "record"
    return render(request, "409.html", {"kind": kind}, status=409)
