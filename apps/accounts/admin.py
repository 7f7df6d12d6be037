"""Tenants, users and API tokens in the admin site."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from .adminsite.forms import OwnedForm
from .adminsite.lists import NameFilter, choice
from .adminsite.records import OwnedAdmin, RecordAdmin
from .models import ApiToken, Tenant, User
from .tokens import LIFETIME, MAX_LIFETIME, make_text, revoke_token

# Django's groups belong to no tenant, and nothing asks them: roles decide.
admin.site.unregister(Group)


@admin.register(Tenant)
class TenantAdmin(RecordAdmin):
    """The organisations: operators found them; an ADMIN may rename their own."""

    owned = False
    list_display = ("slug", "name", "created_at")
    ordering = ("slug",)
    search_fields = ("slug", "name")
    sections = (("", ("slug", "name")),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is shown but not entered: for ADMINs, the slug."""
        slug = () if _is_operator(request) else ("slug",)
        return (*super().get_readonly_fields(request, obj), *slug)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let operators found tenants."""
        return _is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let operators delete a tenant that has nothing, its audit trail pruned included."""
        return _is_operator(request)


class UserForm(OwnedForm):
    """A user's form; an e-mail address is one person's among all tenants."""

    def clean_email(self) -> str:
        """Return the address in lower case; refuse one that is taken, in words that do not say by whom."""
        email: str = self.cleaned_data["email"].lower()
        if User.unscoped.filter(email=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError("This address cannot be used. Choose another.")
        return email


class UserAddForm(UserForm, AdminUserCreationForm):  # type: ignore[type-arg]
    """The form of a new user."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say what being without a password means here."""
        super().__init__(*args, **kwargs)
        self.fields["usable_password"].label = "Signs in by password"
        self.fields["usable_password"].help_text = "Disabled: the user can be reached by API tokens only."

    class Meta:
        """What Django's form declares for its own user does not fit ours."""

        model = User
        fields = ("email",)
        field_classes: ClassVar[dict[str, Any]] = {}


@admin.register(User)
class UserAdmin(OwnedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """The people of a tenant, who are deactivated, never deleted: their work keeps their name."""

    form, add_form, add_form_template = UserForm, UserAddForm, None
    fieldsets = None
    list_display = ("name", "email", choice("role"), "is_active", "last_login")
    list_display_links = ("name",)
    list_filter = (("role", NameFilter), "is_active")
    sortable_by = ("name", "email")
    ordering = ("name", "id")
    search_fields = ("name", "email")
    filter_horizontal = ()
    shown_last = ("last_login",)
    sections = (
        ("", ("email", "name", "phone")),
        ("What they may do", ("role", "is_active")),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields; the operator's mark is for operators."""
        who, may, *record = super().get_fieldsets(request, obj)
        passwords = ("password_page",) if obj else ("usable_password", "password1", "password2")
        mark = ("is_superuser",) if _is_operator(request) else ()
        may = (may[0], {"fields": (*may[1]["fields"], *mark)})
        return [who, may, ("Password", {"fields": passwords}), *record]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is shown but not entered: for oneself, all that could lock one out."""
        own = ("role", "is_active", "is_superuser") if obj is not None and obj.pk == request.user.pk else ()
        return (*super().get_readonly_fields(request, obj), "password_page", *own)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, which for a new user asks for a password."""
        return super().get_form(request, obj, change, **{"form": self.form if obj else self.add_form, **kwargs})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse to let an ADMIN change an operator, by whose password they would become one."""
        may = super().has_change_permission(request, obj)
        return may and (_is_operator(request) or obj is None or not obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: users are deactivated."""
        return False

    @admin.display(description="password")
    def password_page(self, _: User) -> SafeString:
        """Return the way to the page that sets a password."""
        return format_html('<a class="button" href="{}">Set a new password</a>', "../password/")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Set a user's password and its log entry together or not at all."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)


class TokenForm(OwnedForm):
    """The form that issues a token, and later renames it."""

    days = forms.IntegerField(
        label="Valid for (days)", min_value=1, max_value=MAX_LIFETIME.days, initial=LIFETIME.days, required=False
    )

    def clean_user(self) -> User:
        """Refuse a user who could not use the token, and one whom the acting user may not act as."""
        user: User = self.cleaned_data["user"]
        if not user.is_active:
            raise ValidationError("This user is not active.")
        if user.is_superuser and not self.acting.is_superuser:
            raise ValidationError("Operators issue their tokens themselves.")
        return user

    def owner(self) -> Tenant:
        """Return the tenant that a new token belongs to: its user's."""
        user: User | None = self.cleaned_data.get("user")
        return user.tenant if user else super().owner()


@admin.register(ApiToken)
class ApiTokenAdmin(OwnedAdmin):
    """The API tokens of a tenant's users: issued, shown once, revoked."""

    form, asks_owner = TokenForm, False
    list_display = ("__str__", "user", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("user",)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name", "user__name", "user__email")
    autocomplete_fields = ("user",)
    actions = ("revoke",)
    fixed = ("user",)
    shown_last = ("expires_at", "revoked_at", "last_used_at")
    sections = (("", ("user", "name")),)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields; how long a token lives is said when it is issued."""
        (heading, options), *record = super().get_fieldsets(request, obj)
        days = () if obj else ("days",)
        return [(heading, {"fields": (*options["fields"], *days)}), *record]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Save a token's name, or issue a token and show its text: in a message, which lives in a cookie."""
        if not change:
            text = make_text(obj, lifetime=timedelta(days=form.cleaned_data["days"] or LIFETIME.days))
            shown = format_html("The token is <code>{}</code>. Copy it now: it is not shown again.", text)
            messages.warning(request, shown)
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a token is revoked, and what it did stays attributable."""
        return False

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        """Revoke tokens that nobody changed meanwhile."""
        for token in tokens.filter(revoked_at__isnull=True):
            revoke_token(token)
            self.log_change(request, token, "Revoked.")
            messages.success(request, f"Revoked: {token}.")


def _is_operator(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser
