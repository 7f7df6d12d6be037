#!/usr/bin/env python3
"""Draw the dashboard without Grafana: `ops/grafana/render.py http://127.0.0.1:9090 dashboard.svg [MINUTES]`.

The queries of workgraph.json go to a Prometheus, for the last minutes (15), and what comes back is drawn as one SVG:
to see whether each panel shows something, and for the documents.
"""

# ruff: noqa: S310 - the address is the caller's
import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple

DASHBOARD: Final = Path(__file__).with_name("workgraph.json")
WIDE, HIGH = 440, 240  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 76  # of what lies around a panel's lines
ACROSS: Final = 3
POINTS: Final = 120
INTERVAL: Final = "30s"
"""What `$__rate_interval` stands for."""

MOST_NAMED: Final = 6
COLOURS: Final = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")
UNITS: Final = {"s": (1000.0, " ms"), "percentunit": (100.0, " %"), "reqps": (1.0, "/s"), "ops": (1.0, "/s")}


class Line(NamedTuple):
    """A series: what it is called, and its values by time."""

    name: str
    points: Sequence[tuple[float, float]]


def main(address: str, file: str, minutes: str = "15") -> None:
    """Write the picture."""
    end = time.time()
    start = end - 60 * float(minutes)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    drawn = [_panel(panel, _lines(address, panel, start, end), (start, end)) for panel in panels]
    Path(file).write_text(_page(drawn))


def _lines(address: str, panel: Any, start: float, end: float) -> list[Line]:
    """Ask for what a panel shows."""
    lines = []
    for target in panel["targets"]:
        asked = {
            "query": target["expr"].replace("$__rate_interval", INTERVAL),
            "start": f"{start}",
            "end": f"{end}",
            "step": f"{(end - start) / POINTS}",
        }
        with urllib.request.urlopen(f"{address}/api/v1/query_range?{urllib.parse.urlencode(asked)}") as answer:
            found = json.load(answer)["data"]["result"]
        lines += [Line(_name(target["legendFormat"], each["metric"]), _points(each["values"])) for each in found]
    return [line for line in lines if line.points]


def _name(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend


def _points(values: Iterable[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(at, float(value)) for at, value in values if isfinite(float(value))]


def _page(panels: Sequence[str]) -> str:
    rows = -(-len(panels) // ACROSS)
    placed = (
        f'<g transform="translate({WIDE * (number % ACROSS)} {HIGH * (number // ACROSS)})">{panel}</g>'
        for number, panel in enumerate(panels)
    )
    size = f'width="{WIDE * ACROSS}" height="{HIGH * rows}" viewBox="0 0 {WIDE * ACROSS} {HIGH * rows}"'
    style = 'font-family="system-ui, sans-serif" font-size="10" fill="#334155"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(placed) + "\n</svg>\n"


def _panel(panel: Any, lines: Sequence[Line], span: tuple[float, float]) -> str:
    factor, unit = UNITS.get(panel["fieldConfig"]["defaults"]["unit"], (1.0, ""))
    top = max((value for line in lines for _, value in line.points), default=0) * 1.1 or 1
    parts = [
        f'<rect x="3" y="3" width="{WIDE - 6}" height="{HIGH - 6}" rx="4" fill="white" stroke="#e2e8f0"/>',
        f'<text x="12" y="22" font-size="13" font-weight="600">{escape(panel["title"])}</text>',
    ]
    for share in (0, 0.5, 1):
        y = _y(share * top, top)
        parts += [
            f'<path d="M{LEFT} {y:.1f}H{WIDE - RIGHT}" stroke="#e2e8f0"/>',
            f'<text x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{_short(share * top * factor)}{unit}</text>',
        ]
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = "M" + "L".join(f"{_x(at, span):.1f} {_y(value, top):.1f}" for at, value in line.points)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.3" stroke-linecap="round"/>')
    return "".join([*parts, *_legend(lines)])


def _legend(lines: Sequence[Line]) -> Iterable[str]:
    """Name the lines below, two in a row; more than six are only counted."""
    shown = lines if len(lines) <= MOST_NAMED else lines[: MOST_NAMED - 1]
    names = [line.name for line in shown] + ([f"and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else [])
    if not names:
        yield f'<text x="{WIDE / 2}" y="{(HIGH - BOTTOM + TOP) / 2}" text-anchor="middle">no data</text>'
    for number, name in enumerate(names):
        x, y = 14 + (WIDE - 20) / 2 * (number % 2), HIGH - BOTTOM + 26 + 16 * (number // 2)
        colour = COLOURS[number % len(COLOURS)] if number < len(shown) else "none"
        yield f'<rect x="{x:.0f}" y="{y - 7}" width="8" height="8" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 12:.0f}" y="{y}">{escape(name)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004 - three digits are enough


def _x(at: float, span: tuple[float, float]) -> float:
    start, end = span
    return LEFT + (at - start) / (end - start) * (WIDE - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HIGH - BOTTOM - value / top * (HIGH - TOP - BOTTOM)


if __name__ == "__main__":
    main(*sys.argv[1:])
