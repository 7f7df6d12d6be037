"""What the admin pages of all workflow entities have in common."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.adminsite.forms import OwnedForm
from apps.accounts.adminsite.records import OwnedAdmin
from apps.accounts.sequences import take_numbers

from .models import NumberedEntity
from .validation import reference


class EntityForm(OwnedForm):
    """A form that chooses what the services would let one choose, and keeps it so until the row is saved."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse references that lead where they must not."""
        cleaned = super().clean()
        fits = set(self.instance.editing.fits)
        for name in fits & set(self.changed_data) & set(self.cleaned_data):
            chosen = self.cleaned_data[name]
            try:
                reference(self.instance, self.instance._meta.get_field(name), chosen and chosen.pk)
            except ValidationError as error:
                self.add_error(name, error)
        return cleaned


class WorkflowAdmin(OwnedAdmin):
    """Pages of a workflow entity: its status is shown, and changes by transitions only; it is never deleted.

    One in a final state is shown, and not edited.
    """

    form = EntityForm

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse to edit what is final."""
        return super().has_change_permission(request, obj) and not (obj is not None and obj.is_final)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a workflow entity is cancelled or closed, and its history stays."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row; a new one takes its number, in the same transaction."""
        if isinstance(obj, NumberedEntity) and not change:
            (obj.serial,) = take_numbers(tenant_id=obj.tenant_id, kind=obj.number_kind)
        super().save_model(request, obj, form, change)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the row of this number, or the rows that hold all the words."""
        if issubclass(self.model, NumberedEntity):
            prefix = self.model.number_prefix
            number = re.fullmatch(rf"(?:{prefix}-)?0*([0-9]{{1,18}})", search_term.strip(), re.IGNORECASE)
            if number:
                return queryset.filter(serial=int(number[1])), False
        return super().get_search_results(request, queryset, search_term)
