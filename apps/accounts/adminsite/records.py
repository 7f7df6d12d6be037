"""What the admin pages of all records have in common."""

from typing import Any, ClassVar, cast

from concurrency.admin import ConcurrentModelAdmin
from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.models import User

from .forms import OWNER, VERSION, OwnedForm, OwnerChoice, VersionedForm
from .lists import CappedPaginator, spoken

SECRETS = ("password", "digest")
REFERRERS_SHOWN = 5

NATIVE_DATE_TIME = {
    "form_class": forms.DateTimeField,
    "widget": forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
}


class ListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A list that stays quick on a million rows; operators see whose each row is."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 100
    list_max_show_all = 0

    class Media:
        """Two rules of style."""

        css: ClassVar = {"all": ["accounts/admin.css"]}

    owned = True
    """Whether the rows belong to a tenant."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns, for operators with the tenant's."""
        columns: Any = super().get_list_display(request)
        return (*columns, *self._for_operators(request))

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, for operators with the tenant's first."""
        filters: Any = super().get_list_filter(request)
        return (*self._for_operators(request), *filters)

    def get_list_select_related(self, request: HttpRequest) -> Any:
        """Return the relations that the columns show."""
        shown: Any = self.list_select_related or ()
        return (*shown, *self._for_operators(request))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse to filter by secrets: comparing is reading, one character at a time."""
        return not any(secret in lookup for secret in SECRETS) and super().lookup_allowed(lookup, value, request)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an object's history, without naming people of other tenants."""
        response = super().history_view(request, object_id, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            for entry in response.context_data["action_list"]:
                _hide_stranger(entry, _user(request))
        return response

    def _for_operators(self, request: HttpRequest) -> tuple[str, ...]:
        return ("tenant",) if self.owned and _user(request).is_superuser else ()


class RecordAdmin(ListAdmin, ConcurrentModelAdmin):  # type: ignore[misc]
    """Pages of a versioned record; subclasses say which fields go where."""

    form = VersionedForm
    formfield_overrides: ClassVar[dict[Any, Any]] = {models.DateTimeField: NATIVE_DATE_TIME}
    sections: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]]
    """The editable fields in groups, each with a heading."""

    shown_first: ClassVar[tuple[Any, ...]] = ()
    """What an existing row shows above its fields."""

    shown_last: ClassVar[tuple[str, ...]] = ()
    """What an existing row shows below its fields, before its times."""

    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields that are entered once and stay."""

    asks_owner: ClassVar[bool] = True
    """Whether operators choose whose a new row is to be."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields; the version goes along, hidden."""
        first, *others = ((heading or None, {"fields": fields}) for heading, fields in self.sections)
        if obj is None:
            owner = (OWNER,) if self._asks_owner(request) else ()
            return [(first[0], {"fields": (VERSION, *owner, *first[1]["fields"])}), *others]
        last = (*self.shown_last, "created_at", "updated_at", *self._for_operators(request))
        first = (first[0], {"fields": (VERSION, *self.shown_first, *first[1]["fields"])})
        return [first, *others, ("Record", {"fields": last})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is shown but not entered."""
        always = super().get_readonly_fields(request, obj)
        if obj is None:
            return always
        shown = (*self.shown_first, *self.shown_last, *self.fixed, "created_at", "updated_at")
        return (*always, *shown, *self._for_operators(request))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, which knows who is acting; an operator's asks whose a new row is to be."""
        form = kwargs.pop("form", self.form)
        if obj is None and self._asks_owner(request):
            form = type("OwnerChoiceForm", (OwnerChoice, form), {})
        made: Any = super().get_form(request, obj, change=change, form=form, **kwargs)
        made.acting = _user(request)
        return made

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer each choice by its name, followed by what it means."""
        kwargs["choices"] = [(value, f"{spoken(value)}: {meaning}") for value, meaning in db_field.choices]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Log what was deleted; django-concurrency still overrides the method that Django gave up for this one."""
        return LogEntry.objects.log_actions(user_id=_user(request).pk, queryset=queryset, action_flag=DELETION)

    def _asks_owner(self, request: HttpRequest) -> bool:
        return self.asks_owner and bool(self._for_operators(request))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field's form field; beside a reference there is no button that deletes its target."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(getattr(field, "widget", None), RelatedFieldWidgetWrapper):
            field.widget.can_delete_related = False
        return field

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what would be deleted along, or a few of the rows that stand in the way, however many there are."""
        protected = [line for obj in objs for line in self._referrers(obj)]
        return ([], {}, set(), protected) if protected else super().get_deleted_objects(objs, request)

    def _referrers(self, obj: models.Model) -> list[str]:
        lines: list[str] = []
        for relation in obj._meta.get_fields(include_hidden=True):
            if isinstance(relation, models.ManyToOneRel) and relation.on_delete is models.PROTECT:
                rows = relation.related_model._base_manager.filter(**{relation.field.name: obj})
                lines += self._lines(rows[: REFERRERS_SHOWN + 1])
        return lines

    def _lines(self, rows: QuerySet[Any]) -> list[str]:
        found = list(rows)
        lines = [self._line(row) for row in found[:REFERRERS_SHOWN]]
        return [*lines, f"and more {found[0]._meta.verbose_name_plural}"] if len(found) > REFERRERS_SHOWN else lines

    def _line(self, row: models.Model) -> str:
        page = f"{self.admin_site.name}:{row._meta.app_label}_{row._meta.model_name}_change"
        return format_html('{}: <a href="{}">{}</a>', row._meta.verbose_name, reverse(page, args=[row.pk]), row)


class OwnedAdmin(RecordAdmin):
    """Pages of a record that belongs to a tenant, whose rows it may refer to."""

    form = OwnedForm


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _hide_stranger(entry: Any, reader: User) -> None:
    if not reader.is_superuser and entry.user.tenant_id != reader.tenant_id:
        entry.user = User(email="an operator")
