"""The addresses of the server."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from apps.accounts.forms import SignInForm
from schema.http.view import graphql

urlpatterns = [
    path("graphql", graphql, name="graphql"),
    path("", RedirectView.as_view(pattern_name="graphql")),
    path("login/", LoginView.as_view(template_name="login.html", authentication_form=SignInForm), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path(settings.ADMIN_PATH, admin.site.urls),
    path(f"{settings.REST_PATH}v1/", include("project.rest.urls")),
]
