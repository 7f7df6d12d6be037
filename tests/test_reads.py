"""Lists and nodes over HTTP: what they answer, and how many SQL statements they take."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Tenant, User
from tests import factories
from tests.conftest import Ask

AUTHENTICATION = 2
"""The token with its user, and the note of its use."""


def nodes(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [edge["node"] for edge in answer["data"][name]["edges"]]


def test_a_list_shows_rows_with_what_they_refer_to(ask: Ask, technician: User, demo: Tenant) -> None:
    order = factories.work_order(demo, asset=factories.asset(demo), assignee=technician)
    answer = ask(
        technician,
        "{ workOrders { totalCount edges { cursor node { id number title status priority version asset { code site { name } }"
        " assignee { name } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }",
    )
    assert "errors" not in answer, answer
    (node,) = nodes(answer, "workOrders")
    assert node["number"] == order.number
    assert node["status"] == "DRAFT"
    assert node["asset"] == {"code": order.asset.code, "site": {"name": order.asset.site.name}}
    assert node["assignee"] == {"name": technician.name}
    assert answer["data"]["workOrders"]["totalCount"] == 1
