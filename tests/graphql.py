"""Operations run against the schema itself, as an actor, without HTTP."""

from typing import Any

import orjson
from django.db import connection
from django.test.utils import CaptureQueriesContext
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type

from apps.accounts.models import User
from apps.accounts.tenancy import tenant_scope
from schema.budget import OverBudgetError
from schema.busy import Busy
from schema.json_text import json_of
from schema.operation import answer_all
from schema.preparing import Answer, Asked
from schema.root import schema

Data = dict[str, Any]
OBJECTS = {name: kind for name, kind in schema._schema.type_map.items() if isinstance(kind, GraphQLObjectType)}


def execute(actor: User, document: str, **variables: Any) -> Answer:
    with tenant_scope(actor.tenant_id):
        try:
            answers, _ = answer_all(actor, [Asked(document, variables=variables)], Busy())
        except OverBudgetError as error:
            return Answer(errors=[error.told])
    (answer,) = answers
    if answer.data is not None:
        answer.data = orjson.loads(json_of(answer.data))  # as a client reads it
    return answer


def data(actor: User, document: str, **variables: Any) -> Data:
    result = execute(actor, document, **variables)
    assert not result.errors, result.errors
    assert result.data is not None
    return result.data


def refusal(actor: User, document: str, **variables: Any) -> tuple[str, str]:
    result = execute(actor, document, **variables)
    assert result.errors, "the operation was served"
    (error,) = result.errors
    return str((error.extensions or {})["code"]), error.message


def statements(actor: User, document: str, **variables: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        data(actor, document, **variables)
    return [query["sql"] for query in captured.captured_queries]


def lists_of(parent: GraphQLObjectType) -> dict[str, GraphQLObjectType]:
    """Return the list fields of a type and the types of their nodes."""
    connections = {name: get_named_type(field.type) for name, field in parent.fields.items()}
    return {
        name: node_type(kind)
        for name, kind in connections.items()
        if isinstance(kind, GraphQLObjectType) and "filters" in parent.fields[name].args
    }


def node_type(connection_type: GraphQLObjectType) -> GraphQLObjectType:
    edge = get_named_type(connection_type.fields["edges"].type)
    assert isinstance(edge, GraphQLObjectType)
    node = get_named_type(edge.fields["node"].type)
    assert isinstance(node, GraphQLObjectType)
    return node


def everything_of(kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
    """Return a selection of all fields of a type that need no argument, to-one relations of known type to the depth."""
    selected = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if any(argument.out_name and str(argument.type).endswith("!") for argument in field.args.values()):
            continue
        if not isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            selected.append(name)
        elif isinstance(inner, GraphQLInterfaceType):
            continue
        elif depth and not inner.name.endswith("Connection"):
            selected.append(f"{name} {everything_of(inner, depth - 1)}")
    return "{ " + " ".join(selected) + " }"
