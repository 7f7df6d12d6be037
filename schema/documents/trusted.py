"""Trusted documents: what the frontends of this server send, registered when it is deployed.

`TRUSTED_DOCUMENTS_PATH` names files and folders. A JSON file is a manifest as the tools of the frontends write it: an
object of texts by their ids (Relay, GraphQL Code Generator), or Apollo's, a list of operations. Files of GraphQL in one
folder are read together: each operation, with the fragments that it needs, is a document; its ids are its hash
(`sha256:...`) and its name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson
from django.conf import settings
from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    GraphQLError,
    concat_ast,
    parse,
    print_ast,
    separate_operations,
)

PREFIX: Final = "sha256:"
SUFFIXES: Final = (".json", ".graphql")


class ManifestError(Exception):
    """Raised when a file holds no documents."""


def trusted(name: str) -> str | None:
    """Return the registered document with this id, or None; a hash may come with its prefix or without."""
    documents = registered(tuple(settings.TRUSTED_DOCUMENTS_PATH))
    return documents.get(name) or documents.get(PREFIX + name) or documents.get(name.removeprefix(PREFIX))


@cache
def registered(paths: tuple[str, ...]) -> Mapping[str, str]:
    """Return the documents in these files and folders, by all their ids.

    Raises ManifestError when a file can't be read as one.
    """
    documents: dict[str, str] = {}
    for path in paths:
        for name, text in _held(Path(path)):
            if documents.setdefault(name, text) != text:
                raise ManifestError(f"{path} registers {name}, which another document is called by already.")
    return documents


def _held(path: Path) -> Iterator[tuple[str, str]]:
    # Beside documents, JSON files are their variables.
    if not path.exists() or (path.is_file() and path.suffix not in SUFFIXES):
        raise ManifestError(f"{path} is no folder, and no file that ends in {' or '.join(SUFFIXES)}.")
    inside = sorted(path.glob("*.graphql")) or sorted(path.glob("*.json"))
    files = inside if path.is_dir() else [path]
    for file in files:
        if file.suffix == ".json":
            yield from _manifest(file).items()
    yield from _documents([file for file in files if file.suffix != ".json"])


def _manifest(file: Path) -> dict[str, str]:
    try:
        held = orjson.loads(file.read_bytes())
        operations = held.get("operations")
        found = held if operations is None else {each["id"]: each["body"] for each in operations}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"{file} is no manifest of documents: {error}") from error
    if not all(isinstance(text, str) for text in found.values()):
        raise ManifestError(f"{file} is no manifest of documents: each id must have a text.")
    return found


def _documents(files: list[Path]) -> Iterator[tuple[str, str]]:
    whole = concat_ast([_parsed(file) for file in files])
    _check_names(whole)
    for name, document in separate_operations(whole).items():
        text = print_ast(document)
        yield f"{PREFIX}{sha256(text.encode()).hexdigest()}", text
        if name:
            yield name, text


def _check_names(whole: DocumentNode) -> None:
    """Raise ManifestError when two operations, or two fragments, have one name: one of them would be lost."""
    found = [each for each in whole.definitions if isinstance(each, ExecutableDefinitionNode)]
    names = Counter((each.kind.partition("_")[0], each.name.value if each.name else "(none)") for each in found)
    for (kind, name), count in names.items():
        if count > 1:
            raise ManifestError(f"The name {name} is that of {count} {kind}s; give each one of its own.")


def _parsed(file: Path) -> DocumentNode:
    try:
        return parse(file.read_text())
    except (OSError, ValueError, GraphQLError) as error:
        raise ManifestError(f"{file} is no document: {error}") from error
