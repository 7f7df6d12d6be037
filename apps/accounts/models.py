"""Tenants, users and API tokens."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from .constraints import SameTenant, not_blank, one_of
from .fields import Reference
from .guarded import GuardedManager
from .records import TenantOwned, Versioned
from .roles import Role
from .tenancy import TenantManager


class Tenant(Versioned):
    """An organisation; every other row belongs to one."""

    public_text = ("slug", "name")

    slug = models.SlugField(max_length=63, unique=True, help_text="The tenant's short name in commands and addresses.")
    name = models.CharField(max_length=200, help_text="The organisation's name.")

    objects = TenantManager["Tenant"](column="id")
    unscoped: ClassVar[GuardedManager["Tenant"]] = GuardedManager()

    class Meta:
        """Names are shown; slugs are typed."""

        ordering = ("slug",)
        constraints: ClassVar = [not_blank("name", "tenant_name_not_blank")]

    def __str__(self) -> str:
        """Return the tenant's name."""
        return self.name


class UserManager(TenantManager["User"], BaseUserManager["User"]):
    """Users of the tenant in scope, and the one look-up that comes before any scope: login."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with this e-mail address, in any tenant."""
        return User.unscoped.select_related("tenant").get(email=(username or "").lower())

    def create_user(self, *, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user with a hashed password, or with none that works."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(
        self, *, email: str, tenant: Tenant | int, password: str | None = None, **fields: Any
    ) -> "User":
        """Create an operator: an ADMIN of their tenant, given by its id too, whose admin site shows every tenant."""
        owner = tenant.pk if isinstance(tenant, Tenant) else tenant
        mark = {"tenant_id": owner, "role": Role.ADMIN, "is_superuser": True}
        return self.create_user(email=email, password=password, **{**fields, **mark})


class User(TenantOwned, AbstractBaseUser):
    """A person of a tenant, who logs in with an e-mail address and a password."""

    personal, public_text = ("email", "phone", "password"), ("name",)
    bookkeeping = ("last_login",)

    email = models.EmailField(
        unique=True, help_text="In lower case; unique among all tenants, as it is what one logs in with."
    )
    name = models.CharField(max_length=200, help_text="The person's name.")
    phone = models.CharField(max_length=40, blank=True, help_text="The person's telephone number.")
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER, help_text="What the person may do.")
    is_active = models.BooleanField("active", default=True, help_text="Off: may neither log in nor use a token.")
    is_superuser = models.BooleanField("operator", default=False, help_text="Sees every tenant in the admin site.")

    objects: ClassVar[UserManager] = UserManager()
    unscoped: ClassVar[GuardedManager["User"]] = GuardedManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar = ["name", "tenant"]

    class Meta:
        """By name; the index serves the list of people."""

        ordering = ("name", "id")
        constraints: ClassVar = [
            *TenantOwned.Meta.constraints,
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
            not_blank("name", "user_name_not_blank"),
            one_of("role", Role, "user_role_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "name", "id"], name="user_name")]

    def __str__(self) -> str:
        """Return the user's name."""
        return self.name

    def clean(self) -> None:
        """Write the e-mail address in lower case."""
        super().clean()
        self.email = self.email.lower()

    @property
    def is_staff(self) -> bool:
        """Tell whether the user may open the admin site."""
        return self.is_superuser or self.role == Role.ADMIN

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Tell whether the admin site lets the user do this; it shows them their tenant's rows only."""
        return self.is_active and self.is_staff

    def has_module_perms(self, _app_label: str) -> bool:
        """Tell whether the admin site lists an app for the user."""
        return self.is_active and self.is_staff


class ApiToken(TenantOwned):
    """A bearer token of a user; only its hash is stored."""

    personal, public_text = ("digest",), ("name",)
    bookkeeping = ("last_used_at",)

    user = Reference(User, models.CASCADE, related_name="api_tokens", help_text="Whom the token stands for.")
    name = models.CharField(max_length=100, blank=True, help_text="What the token is for.")
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token, in hex.")
    expires_at = models.DateTimeField(help_text="When the token stops working.")
    revoked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the token was revoked; empty while it may be used."
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To within five minutes.")

    class Meta:
        """A token belongs to its user's tenant."""

        constraints: ClassVar = [
            *TenantOwned.Meta.constraints,
            SameTenant(field="user", name="apitoken_user_tenant"),
        ]
        indexes: ClassVar = [models.Index(fields=["user", "id"], name="apitoken_user")]

    def __str__(self) -> str:
        """Return what the token is for."""
        return self.name or f"token {self.pk}"


class TenantSequence(models.Model):
    """The last number a tenant has given to a kind of record: work orders, tickets."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="+")
    kind = models.CharField(max_length=40)
    last = models.BigIntegerField(default=0)

    unscoped = models.Manager["TenantSequence"]()

    class Meta:
        """One row for each tenant and kind."""

        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "kind"], name="tenantsequence_unique")]

    def __str__(self) -> str:
        """Return what is counted, and how far."""
        return f"{self.kind} {self.last}"
