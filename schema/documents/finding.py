"""Which document a request means: the one that it sends, or one that is known by a hash or an id."""

from django.conf import settings
from graphql import GraphQLSchema

from schema.errors import ForbiddenError, PersistedQueryNotFoundError

from .document import Document, RefusedDocument, read
from .persisted import kept
from .trusted import trusted


def find(schema: GraphQLSchema, text: str | None, name: str | None) -> Document | RefusedDocument:
    """Return the document with this text; without a text, the one that is known by this name.

    Raises PersistedQueryNotFoundError when the name is not known, and ForbiddenError when only trusted documents are
    served and this is a text.
    """
    if text is None:
        return read(schema, _known(name or ""))
    if settings.TRUSTED_DOCUMENTS:
        raise ForbiddenError("This server runs registered documents only; name one by `documentId`.")
    return read(schema, text)


def _known(name: str) -> str:
    text = trusted(name) or (None if settings.TRUSTED_DOCUMENTS else kept(name.removeprefix("sha256:")))
    if text is None:
        raise PersistedQueryNotFoundError
    return text
