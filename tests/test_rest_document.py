"""The document of the REST API: what it says is read off the models, and anybody may read it."""

import json
import re
from typing import Any, Final

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from jsonschema_rs import Draft202012Validator, ValidationError, meta
from pytest_django import Settings
from schemathesis.openapi import from_dict

from apps.accounts.models import Tenant
from apps.accounts.roles import Role
from apps.lifecycle.models import workflow_models
from project.embedded.places import ROOT
from project.rest.middleware import rest
from project.rest.openapi import described
from project.rest.problems import KINDS, PROBLEM
from project.rest.resources import name_of
from tests import factories
from tests.rest import Json, Script, made, told
from tests.test_bulk import WAYS
from tests.writing import move, target

PATH: Final = "/api/v1/openapi.json"
EACH: Final = pytest.mark.parametrize("model", workflow_models())


@pytest.fixture(scope="module")
def document() -> Json:
    parsed: Json = json.loads(json.dumps(described()))
    return parsed


def resolved(document: Json, part: Json) -> Json:
    """Return what a reference leads to."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def validator(document: Json, name: str) -> Draft202012Validator:
    """Return what holds a body against a schema of the document."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def test_of_each_member_a_generator_learns_the_type(document: Json) -> None:
    kinds = {"type", "const", "enum", "anyOf", "$ref"}
    members = [
        (name, member)
        for name, schema in document["components"]["schemas"].items()
        for member, told in schema.get("properties", {}).items()
        if not kinds & told.keys()
    ]
    assert members == [("Change", "before"), ("Change", "after")]  # which are of the type of the field


def test_what_nginx_tells_in_our_stead_is_of_our_kinds() -> None:
    told = re.findall(r"return (\d+) '(\{\"type\".*\})';", (ROOT / "ops" / "nginx" / "workgraph.conf").read_text())
    problems = [(int(status), json.loads(body.replace("\\'", "'"))) for status, body in told]
    assert [problem["code"] for _, problem in problems] == ["TOO_LARGE", "UNAVAILABLE"]
    for status, problem in problems:
        (kind,) = (kind for kind in KINDS if kind.code == problem["code"])
        assert problem == {**kind.told(problem["detail"]), "status": status}


def errors(check: Draft202012Validator, body: Any) -> list[str]:
    return [error.message for error in check.iter_errors(body)]


def test_anybody_may_read_it_and_keep_it_for_a_day(db: None) -> None:
    answer = Client().get(PATH)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer["Cache-Control"] == "public, max-age=86400"
    assert answer.json() == json.loads(json.dumps(described()))
    assert answer.get("Vary", "") == "Accept-Encoding"
    again = Client().get(PATH, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_who_wants_another_form_of_it_is_told_a_problem(db: None) -> None:
    answer = Client().get(PATH, headers={"If-Match": '"another"'})
    told(answer, 412, "PRECONDITION_FAILED")  # type: ignore[arg-type]


def test_a_status_that_no_kind_has_stays(rf: RequestFactory) -> None:
    answer = rest(lambda _: HttpResponse(status=451))(rf.get(PATH))
    problem = json.loads(answer.content)
    assert (answer.status_code, problem["status"], problem["title"]) == (451, 451, "Unavailable For Legal Reasons")
    assert answer["Content-Type"] == PROBLEM


def test_it_is_read_by_get_only(db: None) -> None:
    client = Client(raise_request_exception=False)
    assert (client.head(PATH).status_code, client.options(PATH).status_code) == (200, 204)
    answer = client.post(PATH, {}, content_type="application/json")
    told(answer, 405, "METHOD_NOT_ALLOWED")  # type: ignore[arg-type]
    assert answer["Allow"] == "GET, HEAD, OPTIONS"


def test_it_is_valid(document: Json) -> None:
    from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        meta.validate(schema)
    with pytest.raises(ValidationError):
        from_dict({**document, "paths": {"bulk": {"post": 1}}}).validate()


def test_every_reference_leads_somewhere(document: Json) -> None:
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert len(references) > 20
    for reference in references:
        assert resolved(document, {"$ref": reference})


@EACH
def test_it_names_the_actions_of_each_machine(model: Any, document: Json) -> None:
    (operation,) = document["paths"][f"/api/v1/{name_of(model)}/bulk/"].values()
    assert operation["operationId"] == f"bulkTransition{model.__name__}s"
    content = operation["requestBody"]["content"]["application/json"]
    schema = resolved(document, content["schema"])
    assert schema["properties"]["action"]["enum"] == list(model.machine.action_names)
    assert list(content["examples"]) == list(model.machine.action_names)
    check = validator(document, f"{model.__name__}Bulk")
    for action, example in content["examples"].items():
        assert errors(check, example["value"]) == []
        commented = any(way.requires_comment for way in model.machine.ways(action))
        bare = {name: value for name, value in example["value"].items() if name != "comment"}
        assert check.is_valid(bare) is not commented


def test_every_kind_of_problem_is_in_it(document: Json) -> None:
    for kind in KINDS:
        schema = document["components"]["schemas"][kind.name]
        told = schema["properties"]
        assert (told["code"], told["status"]) == ({"const": kind.code}, {"const": kind.status.value})
        assert resolved(document, {"$ref": kind.uri.partition("openapi.json")[2]}) == schema


def test_keys_are_described_as_they_may_be_sent(document: Json) -> None:
    (operation,) = document["paths"]["/api/v1/tasks/bulk/"].values()
    (schema,) = [each["schema"] for each in operation["parameters"] if each["name"] == "Idempotency-Key"]
    check = Draft202012Validator(schema)
    assert [check.is_valid(key) for key in ("1b9d-key", '"1b9d-key"', "", "tab\there")] == [True, True, False, False]


def test_the_limits_are_in_it_while_there_are_any(settings: Settings) -> None:
    with_limits = described()["components"]["responses"]["OK"]["headers"]
    settings.ENABLE_COST_LIMIT = False
    without = described()["components"]["responses"]["OK"]["headers"]
    assert [name for name in with_limits if name not in without] == ["RateLimit", "RateLimit-Policy"]


@pytest.mark.parametrize("model", WAYS)
def test_answers_are_as_it_says(model: Any, demo: Tenant, document: Json) -> None:
    boss = factories.user(demo, Role.SUPERVISOR)
    script, way = Script(boss), WAYS[model]
    moved, wrong, good = made(model, demo), made(model, demo, way.wrong), made(model, demo)
    move(boss, moved, way.action, comment=way.comment)
    given: Json = {"comment": way.comment}
    items = [target(moved), target(wrong), {"id": "", "version": 1}, target(good)]
    answers = [
        (script.bulk(model, items, way.action, **given), "ItemsRefused"),
        (script.bulk(model, items[:1], way.action, **given), "VersionConflict"),
        (script.bulk(model, items[1:2], way.action, **given), "TransitionNotAllowed"),
        (script.bulk(model, items[2:3], way.action, **given), "NotFound"),
        (script.bulk(model, [], "NOTHING"), "ValidationFailed"),
        (script.bulk(model, items, way.action, onError="SKIP_FAILED", **given), "Report"),
    ]
    for answer, name in answers:
        body = json.loads(answer.content)
        assert errors(validator(document, name), body) == []
        for result in body.get("results", []):
            kind = next((kind.name for kind in KINDS if kind.code == (result["problem"] or {}).get("code")), None)
            assert kind is None or errors(validator(document, kind), result["problem"]) == []
