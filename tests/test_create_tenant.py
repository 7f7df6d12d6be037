"""The first tenant of a production server, and its operator."""

import io

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Tenant, User

pytestmark = pytest.mark.django_db


def create(slug: str, name: str) -> str:
    printed = io.StringIO()
    call_command("create_tenant", slug, name, stdout=printed)
    return printed.getvalue()


def test_a_tenant_is_created_and_its_operator_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    key = create("acme", "Acme Works").strip()
    assert Tenant.unscoped.get(pk=key).name == "Acme Works"
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery staple")
    call_command("createsuperuser", interactive=False, email="Op@acme.example", name="Op", tenant=key, verbosity=0)
    operator = User.unscoped.get(email="op@acme.example")
    assert (operator.is_superuser, operator.tenant_id) == (True, int(key))


@pytest.mark.parametrize(("slug", "name"), [("taken", "Other"), ("no spaces", "Name"), ("fine", " "), ("", "Name")])
def test_what_is_no_tenant_is_refused_in_a_line(slug: str, name: str) -> None:
    create("taken", "Taken")
    with pytest.raises(CommandError) as refusal:
        create(slug, name)
    assert "\n" not in str(refusal.value)
    assert Tenant.unscoped.count() == 1
