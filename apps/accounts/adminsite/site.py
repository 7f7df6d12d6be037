"""The site itself: who may enter, and what its front page shows."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse


class OperationsSite(AdminSite):
    """The admin site for a tenant's ADMINs, who see their tenant, and for operators, who see them all."""

    site_title = site_header = "Workgraph"
    index_title = "Administration"
    site_url = None

    def __init__(self, name: str = "admin") -> None:
        """Take away Django's bulk deletion, which asks no row whether it may go."""
        super().__init__(name)
        self.disable_action("delete_selected")

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may enter: people who signed in, not bearers of an API token.

        A leaked token would otherwise do for setting its owner's password.
        """
        return super().has_permission(request) and "Authorization" not in request.headers

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send people to the one login page."""
        if self.has_permission(request):
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"), settings.LOGIN_URL)

    def get_log_entries(self, request: HttpRequest) -> QuerySet[Any]:
        """Return what the acting user did here; what others did is each object's history."""
        entries: QuerySet[Any] = super().get_log_entries(request)
        return entries.filter(user__in=[request.user.pk])
