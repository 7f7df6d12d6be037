"""Extensions of PostgreSQL that migrations need."""

from typing import Any

from django.contrib.postgres.operations import CreateExtension
from django.core.management import CommandError
from django.db import DatabaseError, transaction
from psycopg.errors import InsufficientPrivilege


class RequireExtension(CreateExtension):
    """Create an extension, or say who can.

    Going backwards leaves it: other schemas of the database may use it, and its owner may be somebody else.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Create the extension where it is missing.

        Raises CommandError, with the command to run, when the role may not, or when the server has no such extension.
        """
        try:
            with transaction.atomic(using=schema_editor.connection.alias):
                super().database_forwards(app_label, schema_editor, from_state, to_state)
        except DatabaseError as error:
            refused = isinstance(error.__cause__, InsufficientPrivilege)
            todo = "Have a superuser run" if refused else "Install the server's contrib package, then run"
            database = schema_editor.connection.settings_dict["NAME"]
            raise CommandError(
                f"PostgreSQL's extension {self.name} can't be created: {str(error).strip().splitlines()[0]}. "
                f"{todo}: psql -d {database} -c 'CREATE EXTENSION IF NOT EXISTS \"{self.name}\"'"
            ) from error

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Leave the extension where it is."""
