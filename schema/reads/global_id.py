"""Relay's global ids: `WorkOrder:17` in Base64."""

import binascii
from base64 import b64decode, b64encode
from typing import Final, NamedTuple

from schema.errors import BadRequestError

MAX_KEY: Final = 2**63 - 1
"""PostgreSQL's bigint; a larger number names no row."""


class GlobalId(NamedTuple):
    """The type of a node and its primary key."""

    type_name: str
    key: int


def encode_id(type_name: str, key: int) -> str:
    """Return the global id of a row."""
    return b64encode(f"{type_name}:{key}".encode()).decode()


def decode_id(text: str) -> GlobalId:
    """Return what a global id names, whether or not it exists.

    Raises BadRequestError when the text is no global id.
    """
    try:
        type_name, _, key = b64decode(text, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        type_name, key = "", ""
    numbered = key.isascii() and key.isdigit() and len(key) <= len(str(MAX_KEY)) and int(key) <= MAX_KEY
    if not (type_name.isidentifier() and numbered):
        raise BadRequestError(f"{text[:80]!r} is not an id of this API; send one that a query returned.")
    return GlobalId(type_name, int(key))
