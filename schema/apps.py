"""The GraphQL schema's templates."""

from django.apps import AppConfig


class SchemaConfig(AppConfig):
    """Register the schema's templates."""

    name = "schema"
    label = "schema"
