"""Which document a request means: the one that it sends, or one that is known by a hash or an id."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from graphql import GraphQLSchema

from schema.errors import BadRequestError, ForbiddenError, PersistedQueryNotFoundError

from .document import Document, RefusedDocument, read
from .persisted import check_hash, hash_sent, keep, kept
from .trusted import trusted


def find(
    schema: GraphQLSchema, *, query: str | None, document_id: str | None, extensions: Mapping[str, Any] | None
) -> Document | RefusedDocument:
    """Return the document that a request means.

    Raises BadRequestError when it names none or two, PersistedQueryNotFoundError when it is not known, and
    ForbiddenError when only trusted documents are served and it is none of them.
    """
    name = hash_sent(extensions)
    if document_id is not None and (query is not None or name is not None):
        raise BadRequestError("Send either `documentId` or `query`.")
    text = query if query is not None else _known(document_id or name)
    if settings.TRUSTED_DOCUMENTS and query is not None:
        raise ForbiddenError("This server runs registered documents only; name one by `documentId`.")
    if query is not None and name is not None:
        check_hash(query, name)
    found = read(schema, text, settings.INTROSPECTION)
    if query is not None and name is not None and isinstance(found, Document):
        keep(query, name)
    return found


def _known(name: str | None) -> str:
    if name is None:
        raise BadRequestError("Send a document in `query`, or name a known one by `documentId`.")
    text = trusted(name) or (None if settings.TRUSTED_DOCUMENTS else kept(name.removeprefix("sha256:")))
    if text is None:
        raise PersistedQueryNotFoundError
    return text
