"""What a migration says when it can't have an extension."""

import pytest
from django.core.management import CommandError
from django.db import connection, transaction
from django.db.migrations.state import ProjectState

from apps.accounts.extensions import RequireExtension

pytestmark = pytest.mark.django_db


def require(name: str) -> None:
    with transaction.atomic(), connection.schema_editor(atomic=False) as editor:
        RequireExtension(name).database_forwards("accounts", editor, ProjectState(), ProjectState())


def test_an_extension_that_is_there_is_left_alone() -> None:
    require("pg_trgm")


def test_a_missing_privilege_is_answered_with_the_command_for_a_superuser() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() == (True,):
            cursor.execute("SET LOCAL ROLE pg_monitor")
    with pytest.raises(CommandError) as refusal:
        require("amcheck")
    database = connection.settings_dict["NAME"]
    assert f"psql -d {database} -c 'CREATE EXTENSION IF NOT EXISTS \"amcheck\"'" in str(refusal.value)
    assert "superuser" in str(refusal.value)


def test_an_extension_the_server_lacks_is_named_with_what_to_install() -> None:
    with pytest.raises(CommandError, match="contrib package"):
        require("no_such_extension")
