"""No query and no reference leaves its tenant: the managers, the constraints, the middleware."""

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from apps.accounts.checks import check_references_stay_in_tenant
from apps.accounts.constraints import SameTenant
from apps.accounts.guarded import GuardedManager
from apps.accounts.middleware import tenancy
from apps.accounts.models import Tenant, User
from apps.accounts.origin import AuditSource
from apps.accounts.records import Versioned
from apps.accounts.roles import Role
from apps.accounts.tenancy import ALL_TENANTS, TenantNotChosenError, all_tenants, current_tenant, tenant_scope
from apps.accounts.tokens import issue_token
from apps.audit.models import AuditEntry
from apps.work_orders.models import WorkOrder
from tests import factories

PROJECT_APPS = {"accounts", "assets", "work_orders", "tasks", "helpdesk", "attendance", "audit"}
MODELS: list[Any] = [
    model for model in apps.get_models() if model._meta.app_label in PROJECT_APPS and hasattr(model, "objects")
]
OWNED = [model for model in MODELS if model is not Tenant]
REFERENCES = [
    (model, constraint.field)
    for model in OWNED
    for constraint in model._meta.constraints
    if isinstance(constraint, SameTenant)
]
CHANGEABLE = [model for model in OWNED if model is not AuditEntry]
USES = ("all", "count", "exists", "first", "latest", "get", "aggregate", "values_list", "in_bulk", "iterator")


def name(value: Any) -> str:
    return value if isinstance(value, str) else value.__name__


def furnish(owner: Tenant) -> dict[str, Any]:
    """Make one row of every model for this tenant."""
    person = factories.user(owner)
    site = factories.site(owner)
    asset = factories.asset(owner, site=site)
    order = factories.work_order(owner, site=site, asset=asset, assignee=person, requested_by=person)
    rows = [
        owner,
        person,
        site,
        asset,
        order,
        issue_token(user=person)[1],
        factories.task(owner, work_order=order, asset=asset, assignee=person),
        factories.ticket(owner, site=site, asset=asset, assignee=person, work_order=order),
        factories.attendance_record(owner, person=person, site=site),
        AuditEntry.unscoped.create(
            tenant=owner, actor=person, action="CREATE", entity_kind="Site", entity_id=site.pk, entity_version=1,
            source=AuditSource.ADMIN,
        ),
    ]  # fmt: skip
    return {type(row).__name__: row for row in rows}


def test_every_model_of_ours_is_tried_here(demo: Tenant) -> None:
    assert {model.__name__ for model in MODELS} == set(furnish(demo))
    assert len(REFERENCES) == 17


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_without_a_tenant_a_manager_refuses_before_it_asks_the_database(model: Any) -> None:
    # No database is allowed in this test, so a statement would fail it.
    for use in USES:
        with pytest.raises(TenantNotChosenError, match=f"{model.__name__}.objects was used outside any tenant"):
            getattr(model.objects, use)()


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_in_a_tenant_its_rows_are_seen_and_no_others(demo: Tenant, rival: Tenant, model: Any) -> None:
    mine, theirs = furnish(demo)[model.__name__], furnish(rival)[model.__name__]
    with tenant_scope(demo.pk):
        assert mine in model.objects.all()
        assert theirs not in model.objects.all()
        assert not model.objects.filter(pk=theirs.pk).exists()
        assert model.objects.in_bulk([mine.pk, theirs.pk]) == {mine.pk: mine}
        with pytest.raises(model.DoesNotExist):
            model.objects.get(pk=theirs.pk)
    with all_tenants():
        assert {mine, theirs} <= set(model.objects.all())


def test_the_way_back_along_a_reference_stays_in_the_tenant(demo: Tenant, rival: Tenant) -> None:
    rows = furnish(demo)
    with tenant_scope(rival.pk):
        assert not rows["Site"].work_orders.exists()
    with tenant_scope(demo.pk):
        assert rows["Site"].work_orders.get() == rows["WorkOrder"]


@pytest.mark.parametrize(("model", "field"), [one for one in REFERENCES if one[0] in CHANGEABLE], ids=name)
def test_the_database_refuses_a_reference_to_another_tenant(
    demo: Tenant, rival: Tenant, model: Any, field: str
) -> None:
    mine, theirs = furnish(demo)[model.__name__], furnish(rival)
    target = theirs[model._meta.get_field(field).related_model.__name__]
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        factories.force(model.unscoped.filter(pk=mine.pk), **{field: target})
    before = getattr(mine, f"{field}_id")
    assert getattr(model.unscoped.get(pk=mine.pk), f"{field}_id") == before


def test_the_database_refuses_an_entry_by_an_actor_of_another_tenant(demo: Tenant, rival: Tenant) -> None:
    stranger, order = factories.user(rival), factories.work_order(demo)
    before = AuditEntry.unscoped.count()
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        factories.audit_entry(order, actor=stranger)
    assert AuditEntry.unscoped.count() == before


@pytest.mark.parametrize(("model", "field"), REFERENCES, ids=name)
def test_validation_says_so_before(demo: Tenant, rival: Tenant, model: Any, field: str) -> None:
    mine, theirs = furnish(demo)[model.__name__], furnish(rival)
    setattr(mine, field, theirs[model._meta.get_field(field).related_model.__name__])
    with tenant_scope(demo.pk), pytest.raises(ValidationError) as refusal:
        mine.validate_constraints()
    assert refusal.value.message_dict == {field: ["Choose one of the same tenant."]}


@pytest.mark.parametrize("model", CHANGEABLE, ids=name)
def test_no_row_can_move_to_another_tenant_while_references_tie_it(demo: Tenant, rival: Tenant, model: Any) -> None:
    mine = furnish(demo)[model.__name__]
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        factories.force(model.unscoped.filter(pk=mine.pk), tenant=rival)


@pytest.mark.parametrize("column", ["tenant", "actor"])
def test_no_entry_can_move_to_another_tenant_as_none_ever_changes(demo: Tenant, rival: Tenant, column: str) -> None:
    entry, theirs = furnish(demo)["AuditEntry"], {"tenant": rival, "actor": factories.user(rival)}
    with pytest.raises(IntegrityError, match="never changed: UPDATE refused"), transaction.atomic():
        factories.force(AuditEntry.unscoped.filter(pk=entry.pk), **{column: theirs[column]})
    row = AuditEntry.unscoped.get(pk=entry.pk)
    assert (row.tenant, row.actor) == (demo, entry.actor)


def test_a_loose_reference_is_found_by_manage_py_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_references_stay_in_tenant() == []
    kept = [one for one in WorkOrder._meta.constraints if getattr(one, "field", None) != "site"]
    monkeypatch.setattr(WorkOrder._meta, "constraints", kept)
    (found,) = check_references_stay_in_tenant()
    assert (found.id, found.msg) == ("accounts.E001", "WorkOrder.site may point to another tenant's row.")


def test_codes_are_unique_in_a_tenant_and_free_in_another(demo: Tenant, rival: Tenant) -> None:
    factories.site(demo, code="S1")
    factories.site(rival, code="S1")
    with pytest.raises(IntegrityError, match="site_code_unique"), transaction.atomic():
        factories.site(demo, code="S1")


def test_numbers_are_each_tenants_own(demo: Tenant, rival: Tenant) -> None:
    assert [factories.work_order(owner).number for owner in (demo, rival, demo)] == [
        "WO-000001",
        "WO-000001",
        "WO-000002",
    ]


def test_scopes_nest_and_end_even_by_an_error() -> None:
    def scope() -> int | None:
        try:
            return current_tenant(WorkOrder)
        except TenantNotChosenError:
            return None

    with tenant_scope(1):
        with all_tenants():
            assert scope() == ALL_TENANTS
        assert scope() == 1
        with pytest.raises(ZeroDivisionError), all_tenants():
            _ = 1 / 0
        assert scope() == 1
    assert scope() is None


def scope_of(request: HttpRequest) -> int | None:
    seen: list[int | None] = []

    def view(_: HttpRequest) -> HttpResponse:
        try:
            seen.append(current_tenant(WorkOrder))
        except TenantNotChosenError:
            seen.append(None)
        return HttpResponse()

    tenancy(view)(request)
    return seen[0]


@pytest.mark.parametrize(
    ("path", "operator", "expected"),
    [
        ("/graphql", False, "own"),
        ("/graphql", True, "own"),
        ("/admin/", False, "own"),
        ("/admin/", True, "all"),
        ("/administration", True, "own"),
        ("/graphql/admin/", True, "own"),
    ],
)
def test_a_request_sees_its_users_tenant_and_an_operators_admin_site_all(
    demo: Tenant, path: str, operator: bool, expected: str
) -> None:
    request = RequestFactory().get(path)
    request.user = factories.user(demo, Role.ADMIN, is_superuser=operator)
    assert scope_of(request) == {"own": demo.pk, "all": ALL_TENANTS}[expected]


def test_the_scope_ends_with_the_request(demo: Tenant) -> None:
    request = RequestFactory().get("/admin/")
    request.user = factories.user(demo, Role.ADMIN, is_superuser=True)
    scope_of(request)
    with pytest.raises(TenantNotChosenError):
        current_tenant(WorkOrder)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 302),
        ("/login/", 200),
        ("/logout/", 405),
        ("/admin/", 302),
        ("/admin/login/", 302),
        ("/admin/work_orders/workorder/", 302),
        ("/admin/work_orders/workorder/1/change/", 302),
        ("/admin/autocomplete/?app_label=tasks&model_name=task&field_name=work_order", 302),
        ("/admin/jsi18n/", 302),
        ("/nowhere/", 404),
    ],
)
def test_whoever_is_not_signed_in_meets_no_error(client: Client, db: None, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_whoever_is_not_signed_in_may_post_without_an_error(client: Client, db: None) -> None:
    for path in ("/admin/work_orders/workorder/add/", "/admin/accounts/user/1/password/", "/logout/"):
        assert client.post(path).status_code == 302


def test_a_user_whose_session_outlived_them_is_nobody(client: Client, demo: Tenant) -> None:
    user = factories.user(demo, Role.ADMIN)
    client.force_login(user)
    factories.erase(User.unscoped.filter(pk=user.pk))
    assert client.get("/admin/").status_code == 302


def test_the_default_manager_of_every_model_of_ours_asks_for_the_tenant_and_the_base_manager_does_not() -> None:
    for model in MODELS:
        with pytest.raises(TenantNotChosenError):
            model._default_manager.all()
        plain = GuardedManager if issubclass(model, Versioned) else models.Manager
        assert type(model._base_manager) is plain
