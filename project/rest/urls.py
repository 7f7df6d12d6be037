"""The addresses of the REST API; those of a bulk end with a slash or without: a redirect would lose the body."""

from django.urls import path, re_path

from .resources import resources
from .views import bulk, openapi

urlpatterns = [
    path("openapi.json", openapi, name="rest-openapi"),
    *(
        re_path(rf"^{name}/bulk/?\Z", bulk, {"model": model}, name=f"rest-{name}")
        for name, model in resources().items()
    ),
]
