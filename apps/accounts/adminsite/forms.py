"""Forms that lose nobody's work."""

from typing import Any, ClassVar

from django import forms
from django.contrib.admin.utils import display_for_value
from django.db import models
from django.forms.boundfield import BoundField
from django.shortcuts import get_object_or_404

from apps.accounts.conflicts import conflict_found
from apps.accounts.models import Tenant, User
from apps.accounts.trail import changes_since

from .lists import spoken

VERSION = "version"
OWNER = "of_tenant"
KEPT = "Changed meanwhile to “{}”. What you entered is kept; saving again replaces that."
TAKEN_OVER = "Changed meanwhile to “{}”, which is filled in now."
CONFLICT = (
    "{} saved this {} at {:%H:%M:%S} UTC, after you had opened it. Nothing was saved yet and nothing you "
    "entered is lost: look at the marked fields, then save again."
)


class VersionedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that saves only on top of the version its user saw.

    Each field carries along the value it was rendered with. When the row has changed since, the form comes back as a
    three-way merge: what the user changed stays, the rest is brought up to date, and the next save counts as having
    seen it. django-concurrency's `ConcurrentForm` would refuse every further save, and the input with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Let each field of an existing row remember what it showed, and each time say where it is that late."""
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.DateTimeField):
                field.help_text = f"{field.help_text} In UTC.".strip()
        for name in self._merged_names():
            self.fields[name].show_hidden_initial = True

    def clean(self) -> dict[str, Any] | None:
        """Refuse a stale version; the row stays locked until the save, so that no change can slip in between."""
        cleaned = super().clean()
        if self.instance.pk is not None:
            rows = type(self.instance)._base_manager.select_for_update(of=("self",), no_key=True)
            current = get_object_or_404(rows, pk=self.instance.pk)
            self._keep_fractions(current)
            if current.version != self.cleaned_data.get(VERSION):
                self._merge(current)
        return cleaned

    def _keep_fractions(self, current: models.Model) -> None:
        # A date picker knows whole seconds only; a time that nobody touched must not lose its fraction.
        for name in set(self._merged_names()) & set(self.cleaned_data) - set(self.changed_data):
            if isinstance(self.fields[name], forms.DateTimeField):
                self.cleaned_data[name] = getattr(current, name)

    def _merge(self, current: Any) -> None:
        conflict_found.send(sender=type(current))
        touched = set(self.changed_data)
        self.data = dict(self.data.items())
        fresh = type(self)(instance=current)
        author = _author(current, self.cleaned_data.get(VERSION))
        self.add_error(None, CONFLICT.format(author, current._meta.verbose_name, current.updated_at))
        for name in self._merged_names():
            self._merge_field(fresh[name], current, touched=name in touched)
        self._write(fresh[VERSION].html_name, str(fresh[VERSION].value()))

    def _merge_field(self, now: BoundField, current: models.Model, *, touched: bool) -> None:
        seen = self.data.get(now.html_initial_name)
        differs = now.field.has_changed(now.initial, self[now.name].data)
        if differs and now.field.has_changed(now.initial, seen):
            self.add_error(now.name, (KEPT if touched else TAKEN_OVER).format(_shown(current, now.name)))
        if not touched:
            self._write(now.html_name, _posted(now.field.widget, now.value()))
        self._write(now.html_initial_name, _posted(now.field.hidden_widget(), now.value()))

    def _write(self, name: str, value: str | None) -> None:
        data: Any = self.data
        if value is None:
            data.pop(name, None)
        else:
            data[name] = value

    def _merged_names(self) -> list[str]:
        if self.instance.pk is None:
            return []
        columns = {field.name for field in self.instance._meta.fields}
        return [name for name, field in self.fields.items() if name in columns - {VERSION} and not field.disabled]


class OwnedForm(VersionedForm):
    """A form for rows that belong to a tenant: new ones to the acting user's."""

    acting: ClassVar[User]

    def owner(self) -> Tenant:
        """Return the tenant that a new row belongs to."""
        return self.cleaned_data.get(OWNER) or self.acting.tenant

    def _get_validation_exclusions(self) -> set[str]:
        # The tenant is part of the unique constraints and of every reference, and it is known: see below.
        return super()._get_validation_exclusions() - {"tenant"}  # type: ignore[misc, no-any-return]

    def _post_clean(self) -> None:
        if self.instance._state.adding:
            self.instance.tenant = self.owner()
        super()._post_clean()  # type: ignore[misc]


class OwnerChoice(OwnedForm):
    """What an operator's form for a new row has on top: whose it is to be."""

    of_tenant = forms.ModelChoiceField(Tenant.unscoped.order_by("name"), label="Tenant")


def _author(current: Any, seen: int | None) -> str:
    """Return who changed a row since a version, as far as the audit trail tells and the reader may know."""
    versions = {current.pk: (seen or current.version, current.version)}
    authors = changes_since(type(current), versions)[current.pk].authors
    people = User.objects.in_bulk({author for author in authors if author is not None})
    return " and ".join(sorted(str(person) for person in people.values())) or "Somebody else"


def _shown(row: models.Model, name: str) -> str:
    value = getattr(row, name)
    has_names = getattr(row._meta.get_field(name), "choices", None)
    return spoken(value) if has_names else str(display_for_value(value, "empty"))


def _posted(widget: forms.Widget, value: Any) -> str | None:
    if isinstance(widget, forms.CheckboxInput):
        return "on" if value else None
    return widget.format_value(value) or ""
