"""The rules, the dashboard and the example of a configuration, judged by the real Prometheus and its promtool."""

# ruff: noqa: S603, S310 - the commands and the addresses are the tests' own
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest

from project.embedded.places import ROOT
from tests.servers import TOKEN, Server, free_port, served, somebodys_token

RULES: Final = ROOT / "ops" / "prometheus"
DASHBOARD: Final = json.loads((ROOT / "ops" / "grafana" / "workgraph.json").read_text())
EXPRESSIONS: Final = [
    target["expr"].replace("$__rate_interval", "1m") for panel in DASHBOARD["panels"] for target in panel["targets"]
]
ALERTS: Final = re.findall(r"^ *expr: (.*)$", (RULES / "alerts.yml").read_text(), re.MULTILINE)
METRIC: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b(?!\()")
WORDS: Final = {"histogram_quantile"}
OPERATORS: Final = (ROOT / "docs" / "operators.md").read_text()


def named(expressions: list[str]) -> set[str]:
    """Return the metrics that are named, without what stands in braces and quotes."""
    bare = [re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expression) for expression in expressions]
    return {name for expression in bare for name in METRIC.findall(expression)} - WORDS


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool")


def program(name: str) -> str:
    """Return where one of Prometheus' programs is; skip the test where there is none, unless it is required."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("REQUIRE_PROMETHEUS"), f"REQUIRE_PROMETHEUS is set, and there is no {name}"
        pytest.skip(f"there is no {name}; Debian's package prometheus has it")
    return found


def told(*command: str, folder: Path = RULES) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_rules(promtool: str) -> None:
    assert f"{len(ALERTS)} rules found" in told(promtool, "check", "rules", "alerts.yml")


def test_each_alert_fires_just_above_its_threshold_and_not_just_below(promtool: str) -> None:
    assert "SUCCESS" in told(promtool, "test", "rules", "alerts_test.yml")
    rules, tests = (RULES / "alerts.yml").read_text(), (RULES / "alerts_test.yml").read_text()
    for name in re.findall(r"alert: (\w+)", rules):
        assert {side for side in ("above", "below") if f"{name}, just {side}" in tests} == {"above", "below"}


def test_a_threshold_that_is_moved_fails_the_test_of_the_rules(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "moved")
    rules = tmp_path / "moved" / "alerts.yml"
    rules.write_text(rules.read_text().replace("> 100\n", "> 103\n"))
    done = subprocess.run([promtool, "test", "rules", "alerts_test.yml"], cwd=rules.parent, check=False, timeout=60)
    assert done.returncode != 0


def test_the_example_of_a_configuration_is_one(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "example")
    (tmp_path / "example" / "metrics_token").write_text(TOKEN)
    assert "is valid" in told(promtool, "check", "config", "prometheus.yml", folder=tmp_path / "example")


def test_every_expression_of_the_dashboard_parses(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(EXPRESSIONS)]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in told(promtool, "check", "rules", "panels.yml", folder=tmp_path)


def test_every_runbook_is_a_heading_with_three_answers() -> None:
    headings = re.findall(r"^#+ (.*)$", OPERATORS, re.MULTILINE)
    slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-"): heading for heading in headings}
    runbooks = re.findall(r"runbook: docs/operators\.md#(\S+)", (RULES / "alerts.yml").read_text())
    assert len(runbooks) == len(ALERTS)
    for runbook in runbooks:
        section = OPERATORS.split(f"# {slugs[runbook]}\n")[1].split("\n#")[0]
        assert re.findall(r"\*\*([A-Z][a-z ]+)\.\*\*", section) == ["Symptom", "Look at", "Do"], runbook


def test_the_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]
    assert (DASHBOARD["schemaVersion"], DASHBOARD["title"], DASHBOARD.get("id")) == (39, "Workgraph", None)
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    sources = [each["datasource"]["uid"] for panel in panels for each in (panel, *panel["targets"])]
    assert set(sources) == {"${datasource}"}


@contextmanager
def prometheus(folder: Path, server: Server) -> Iterator[str]:
    """Run a Prometheus that reads the example's configuration, but that it asks each second; yield its address."""
    shutil.copytree(RULES, folder, dirs_exist_ok=True)
    (folder / "metrics_token").write_text(TOKEN)
    configuration = folder / "prometheus.yml"
    changed = configuration.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("15s", "1s")
    configuration.write_text(changed)
    address = f"127.0.0.1:{free_port()}"
    options = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    command = [program("prometheus"), "--config.file=prometheus.yml", *options]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def asked(address: str, path: str, **parameters: str) -> Any:
    """Return what Prometheus answers; None while it does not."""
    try:
        with urllib.request.urlopen(
            f"{address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=5
        ) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def draw(address: str, file: Path) -> list[str]:
    """Let the dashboard be drawn, and return every text of the picture."""
    told(sys.executable, str(ROOT / "ops" / "grafana" / "render.py"), address, str(file), "1")
    return [element.text or "" for element in ET.parse(file).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314


def test_a_real_prometheus_finds_all_that_the_rules_and_the_dashboard_name(
    transactional_db: None, tmp_path: Path
) -> None:
    program("prometheus")
    token = somebodys_token()
    (tmp_path / "server").mkdir()
    (tmp_path / "prometheus").mkdir()
    with served(tmp_path / "server") as server, prometheus(tmp_path / "prometheus", server) as address:
        assert server.ask(token, "query Mine { me { id } }") == 200
        nobodys = [{"id": "x", "version": 1}]
        assert server.bulk(token, action="APPROVE", onError="SKIP_FAILED", items=nobodys) == 207
        wanted, found = named([*ALERTS, *EXPRESSIONS]), set[str]()
        deadline = time.monotonic() + 30
        while not wanted <= found and time.monotonic() < deadline:
            time.sleep(0.5)
            found = set(asked(address, "label/__name__/values") or ())
        assert wanted - found == set()
        counted = asked(address, "query", query='graphql_request_duration_seconds_count{operation="Mine"}')
        assert [each["value"][1] for each in counted["result"]] == ["1"]
        counted = asked(address, "query", query="rest_request_duration_seconds_count")
        assert [(each["metric"]["status"], each["value"][1]) for each in counted["result"]] == [("207", "1")]
        drawn = draw(address, tmp_path / "dashboard.svg")
        assert {panel["title"] for panel in DASHBOARD["panels"]} <= set(drawn)
        assert "no data" in drawn  # no search was answered from Redis, and none was computed
        rules = asked(address, "rules")["groups"][0]["rules"]
        assert [rule["health"] for rule in rules if rule["health"] == "err"] == []
        assert len(rules) == len(ALERTS)


def test_the_names_are_read_out_of_expressions() -> None:
    assert named(['sum by (le) (rate(a_b_total{x_y="c_d"}[1m])) / histogram_quantile(0.5, e_f)']) == {
        "a_b_total",
        "e_f",
    }
    assert len(named(EXPRESSIONS)) > 15
