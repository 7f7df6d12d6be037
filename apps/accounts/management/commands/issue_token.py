"""`manage.py issue_token EMAIL`."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import all_tenants
from apps.accounts.tokens import LIFETIME, MAX_LIFETIME, issue_token


class Command(BaseCommand):
    """Print a new API token, alone on standard output."""

    help = "Print a new API token for a user, alone on standard output. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("email", help="whose token it is")
        parser.add_argument(
            "--days", type=int, default=LIFETIME.days, help="how long it is valid (default %(default)s)"
        )
        parser.add_argument("--name", default="issue_token", help="what it is for")

    def handle(self, *, email: str, days: int, name: str, **_: object) -> None:
        """Issue the token; raise CommandError when there is nobody to issue it to."""
        if not 1 <= days <= MAX_LIFETIME.days:
            raise CommandError(f"--days is {days}; choose 1 to {MAX_LIFETIME.days}.")
        with command_scope("issue_token"), all_tenants():
            text, token = issue_token(user=active_user(email), name=name[:100], lifetime=timedelta(days=days))
        self.stdout.write(text)
        self.stderr.write(
            f"For {token.user.email}, valid until {token.expires_at:%Y-%m-%d %H:%M} UTC. Keep it: it is shown once."
        )


def active_user(email: str) -> User:
    """Return the person with an e-mail address. Raises CommandError when there is none, or they may not sign in."""
    try:
        user = User.objects.get_by_natural_key(email.strip())
    except User.DoesNotExist:
        raise CommandError(f"There is no user with the e-mail address {email!r}.") from None
    if not user.is_active:
        raise CommandError(f"{user.email} is not active; activate the user first.")
    return user
