"""What must hold whichever host a client comes to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from project.cluster.hosts import Host
from project.cluster.postgres import Primary, Replica
from project.cluster.processes import Process, until
from project.cluster.valkey import Cluster

CREATE: Final = (
    "mutation($t: String!) { createWorkOrder(input: {title: $t}) { ... on WorkOrder { id title version } } }"
)
CANCEL: Final = """
mutation($id: ID!) {
  transitionWorkOrder(input: {id: $id, version: 1, action: CANCEL, comment: "Twice"}) {
    __typename ... on WorkOrder { version }
  }
}
"""
RETITLE: Final = """
mutation($id: ID!, $v: Int!, $t: String!) {
  updateWorkOrder(input: {id: $id, version: $v, title: $t}) { ... on WorkOrder { version } }
}
"""
READ: Final = """
query($id: ID!) {
  node(id: $id) { ... on WorkOrder { title version history { edges { node { action } } } } }
}
"""
SEARCH: Final = "query($q: String!) { search(query: $q, first: 5) { edges { node { ... on WorkOrder { id } } } } }"
LIST: Final = "{ workOrders(first: 20) { edges { node { id title } } } }"

ROWS: Final = 20
ROUNDS: Final = 100
READS: Final = 40
SEARCHES: Final = 20
WINDOW: Final = 10.0
"""So many searches a person may make in so many seconds."""

OUTAGE: Final = 60


class BrokenError(AssertionError):
    """Raised when something does not hold."""


@dataclass(frozen=True)
class Installation:
    """All that runs, and the tokens of those who use it."""

    hosts: Sequence[Host]
    primary: Primary
    replica: Replica
    replica_process: Process
    redis: Cluster
    supervisor: str
    technician: str
    seeker: str
    """Tokens of three people of a tenant; the last two only read."""

    def create(self, host: Host, title: str) -> str:
        """Let the supervisor create a work order, on one host; return its id."""
        return str(data(host, self.supervisor, CREATE, t=title)["createWorkOrder"]["id"])

    def read(self, host: Host, token: str, order: str) -> Any:
        """Return a work order, as somebody reads it."""
        return data(host, token, READ, id=order)["node"]


def data(host: Host, token: str, query: str, **variables: Any) -> Any:
    """Return the data of an answer. Raises BrokenError if there are errors."""
    answer = host.ask(token, query, **variables)
    hold("errors" not in answer, answer)
    return answer["data"]


def hold(claim: bool, found: object) -> None:
    """Raise BrokenError unless the claim holds."""
    if not claim:
        raise BrokenError(f"{found}")


def one_of_two_wins(all_: Installation) -> str:
    """Take the same rows through the same transition on both hosts at once: one wins, and one audit entry tells."""
    orders = [all_.create(all_.hosts[number % 2], "Pump") for number in range(ROWS)]
    with ThreadPoolExecutor(8) as threads:
        asked = [(host, order) for order in orders for host in all_.hosts]
        answers = list(threads.map(lambda each: data(each[0], all_.supervisor, CANCEL, id=each[1]), asked))
    kinds = Counter(answer["transitionWorkOrder"]["__typename"] for answer in answers)
    hold(kinds == {"WorkOrder": ROWS, "VersionConflict": ROWS}, kinds)
    for order in orders:
        row = all_.read(all_.hosts[0], all_.supervisor, order)
        actions = sorted(edge["node"]["action"] for edge in row["history"]["edges"])
        hold((row["version"], actions) == (2, ["CANCEL", "CREATE"]), row)
    return f"{ROWS} rows cancelled through both: {ROWS} done, {ROWS} conflicts, all of version 2 with 2 audit entries"


def one_budget(all_: Installation) -> str:
    """Draw from the budget of one person through both hosts."""
    began, spent, answer = time.monotonic(), 0, {}
    before = _cost(all_.hosts[0].ask(all_.technician, "{ __typename }"))["remaining"]
    for number in range(READS):
        answer = _cost(all_.hosts[number % 2].ask(all_.technician, LIST))
        spent += answer["actual"]
    missing, restored = before - answer["remaining"], time.monotonic() - began + 1
    hold(spent - restored <= missing <= spent, (spent, missing))
    return f"{READS} reads by turns cost {spent} points, and {missing} are missing ({restored:.0f} s, a point each)"


def one_search_limit(all_: Installation) -> str:
    """Search more often than one person may, through both hosts at once."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        asked = [all_.hosts[number % 2] for number in range(2 * SEARCHES)]
        answers = list(threads.map(lambda host: "errors" not in host.ask(all_.seeker, SEARCH, q="pump"), asked))
    ran, taken = answers.count(True), time.monotonic() - began
    hold(SEARCHES <= ran <= SEARCHES * (1 + taken // WINDOW), answers)
    return f"{2 * SEARCHES} searches of one person in {taken:.1f} s: {ran} ran"


def one_cache(all_: Installation) -> str:
    """Find on one host what was cached by the other, and what was written through it."""
    first, second = all_.hosts
    word = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])
    all_.replica.catch_up()
    hold(_found(first, all_.technician, word) == [], "found before it was written")
    kept = _searches(all_.redis)
    hold(_found(second, all_.technician, word) == [] and _searches(all_.redis) == kept, "it was searched for twice")
    made, began = all_.create(second, f"Grease the {word}"), time.monotonic()
    hold(_found(first, all_.supervisor, word) == [made], "its writer does not find it")
    until(lambda: _found(first, all_.technician, word) == [made])
    taken = 1000 * (time.monotonic() - began)
    return f"searched once for both hosts; once written, found by its writer at once, by others within {taken:.0f} ms"


def own_writes(all_: Installation) -> str:
    """Read through one host what was written through the other, also while the replica stands still."""
    order, version = all_.create(all_.hosts[0], "Title"), 1
    for number in range(ROUNDS):
        writing, reading = all_.hosts[number % 2], all_.hosts[1 - number % 2]
        version = data(writing, all_.supervisor, RETITLE, id=order, v=version, t=f"Title {number}")["updateWorkOrder"][
            "version"
        ]
        read = all_.read(reading, all_.supervisor, order)
        hold((read["title"], read["version"]) == (f"Title {number}", version), read)
    all_.read(all_.hosts[0], all_.technician, order)  # who is new reads what there was when they came
    with all_.replica.paused():
        data(all_.hosts[0], all_.supervisor, RETITLE, id=order, v=version, t="Last")
        seen = [all_.read(host, all_.supervisor, order)["title"] for host in all_.hosts]
        others = [all_.read(host, all_.technician, order)["title"] for host in all_.hosts]
    hold((seen, others) == (["Last"] * 2, [f"Title {ROUNDS - 1}"] * 2), (seen, others))
    return f"{ROUNDS} writes, each read at once through the other host; one more while the replica was paused"


def without_a_node(all_: Installation) -> str:
    """Ask while a node of Redis dies, until its replica has taken over."""
    first, replica = all_.redis.nodes[0], all_.redis.nodes[-1]
    began = time.monotonic()
    told = _answered_after(all_, first.process.kill)
    until(lambda: replica.says("INFO replication", "role:master"))
    return f"{told}; its replica has taken over ({time.monotonic() - began:.1f} s)"


def without_the_replica(all_: Installation) -> str:
    """Ask while the replica is killed."""
    told = _answered_after(all_, all_.replica_process.kill)
    all_.replica_process.start()
    return told


def _answered_after(all_: Installation, act: Callable[[], None]) -> str:
    act()
    tokens = (all_.technician, all_.supervisor, all_.seeker)
    for number in range(OUTAGE):
        data(all_.hosts[number % 2], tokens[number % 3], LIST)
    return f"{OUTAGE} reads after it was killed, all answered"


def _cost(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(answer["extensions"]["cost"])


def _found(host: Host, token: str, word: str) -> list[str]:
    return [edge["node"]["id"] for edge in data(host, token, SEARCH, q=word)["search"]["edges"]]


def _searches(redis: Cluster) -> int:
    return sum(len(list(node.client.scan_iter("*search:*", count=1000))) for node in redis.nodes[:-1])


CHECKS: Final = (
    one_of_two_wins,
    one_cache,
    one_budget,
    one_search_limit,
    own_writes,
    without_a_node,
    without_the_replica,
)
