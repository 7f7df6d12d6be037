"""`manage.py create_tenant SLUG NAME`."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Tenant
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import all_tenants


class Command(BaseCommand):
    """Create an organisation, and print its id alone on standard output."""

    help = "Create an organisation; print its id, which createsuperuser asks for."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("slug", help="its short name in commands: letters, digits, hyphens")
        parser.add_argument("name", help="its name as people write it")

    def handle(self, *, slug: str, name: str, **_: object) -> None:
        """Create the tenant; raise CommandError when slug or name won't do."""
        tenant = Tenant(slug=slug, name=name)
        with command_scope("create_tenant"), all_tenants():
            try:
                tenant.full_clean()
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
            tenant.save()
        self.stdout.write(str(tenant.pk))
