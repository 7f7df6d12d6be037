"""`manage.py check_documents`: prove the registered documents."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from graphql import OperationDefinitionNode

from schema.documents.document import Document, RefusedDocument, read
from schema.documents.trusted import ManifestError, registered
from schema.root import schema


class Command(BaseCommand):
    """List the registered documents, and fail if one of them can't run."""

    help = "List the documents that TRUSTED_DOCUMENTS_PATH registers, by their ids, and fail if one can't run."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print a line for each id, and what is wrong with its document."""
        try:
            documents = registered(tuple(settings.TRUSTED_DOCUMENTS_PATH))
        except ManifestError as error:
            raise CommandError(str(error)) from error
        wrong = 0
        for name, text in documents.items():
            found = read(schema._schema, text)
            wrong += isinstance(found, RefusedDocument)
            self.stdout.write(f"{name} {_told(found)}")
        if wrong:
            raise CommandError(f"{wrong} of {len(documents)} can't run.")
        self.stdout.write(f"All {len(documents)} can run.")


def _told(found: Document | RefusedDocument) -> str:
    if isinstance(found, RefusedDocument):
        return "; ".join(error.message for error in found.errors)
    definitions = found.parsed.definitions
    operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
    return ", ".join(f"{each.operation.value} {each.name.value if each.name else ''}".strip() for each in operations)
