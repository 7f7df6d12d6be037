"""The published schema: committed, described to the last argument, and good for the documents that clients send."""

import re
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    NoUnusedFragmentsRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from schema.graphiql import example_operations
from schema.root import schema

SDL = Path(__file__).parent.parent / "schema" / "schema.graphql"
OPERATIONS = Path(__file__).parent.parent.parent / "shared" / "operations"
NOT_YET_SERVED = {"RateLimit"}
RULES = [rule for rule in specified_rules if rule is not NoUnusedFragmentsRule]  # each operation uses some of them
GRAPHQL = schema._schema
OURS = [kind for name, kind in GRAPHQL.type_map.items() if not name.startswith("__")]


def test_the_committed_schema_is_the_present_one() -> None:
    assert SDL.read_text() == schema.as_str(), "run `make sdl` and commit schema/schema.graphql"


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.name)
def test_everything_of_a_type_is_described(kind: GraphQLNamedType) -> None:
    assert [name for name, description in descriptions(kind).items() if not (description or "").strip()] == []


def test_articles_go_with_their_words() -> None:
    assert re.findall(r"\ba [aeio]\w+|\ban [^aeio\W]\w+", SDL.read_text(), re.IGNORECASE) == []


def descriptions(kind: GraphQLNamedType) -> dict[str, str | None]:
    found: dict[str, str | None] = {kind.name: kind.description}
    if isinstance(kind, GraphQLEnumType):
        found |= {f"{kind.name}.{name}": value.description for name, value in kind.values.items()}
    if isinstance(kind, GraphQLInputObjectType | GraphQLObjectType | GraphQLInterfaceType):
        found |= {f"{kind.name}.{name}": field.description for name, field in kind.fields.items()}
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in kind.fields.items():
            found |= {f"{kind.name}.{name}({given})": arg.description for given, arg in field.args.items()}
    return found


def client_operations() -> list[tuple[OperationDefinitionNode, list[FragmentDefinitionNode]]]:
    definitions = [
        definition
        for path in sorted(OPERATIONS.glob("*.graphql"))
        for definition in parse(path.read_text()).definitions
    ]
    fragments = [definition for definition in definitions if isinstance(definition, FragmentDefinitionNode)]
    return [(one, fragments) for one in definitions if isinstance(one, OperationDefinitionNode)]


@pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project, not in it")
def test_every_operation_that_clients_send_is_valid() -> None:
    served = [
        (operation.name.value, operation, fragments)
        for operation, fragments in client_operations()
        if operation.name and operation.name.value not in NOT_YET_SERVED
    ]
    assert len(served) == 30
    for name, operation, fragments in served:
        assert validate(GRAPHQL, DocumentNode(definitions=(operation, *fragments)), RULES) == [], name


@pytest.mark.parametrize("example", example_operations(), ids=lambda example: example.name)
def test_every_example_in_graphiql_is_valid(example: object) -> None:
    assert validate(GRAPHQL, parse(example.query)) == []  # type: ignore[attr-defined]
