"""`manage.py workflows`: print the state machines."""

from collections.abc import Callable, Sequence
from typing import Final

from django.core.management.base import BaseCommand, CommandParser
from django.utils.text import capfirst

from apps.lifecycle.machine import Machine, State, Transition
from apps.lifecycle.models import WorkflowEntity, workflow_models

Row = Sequence[str]
HEAD: Final[Row] = ("action", "from", "to", "who", "also")


class Command(BaseCommand):
    """Print each machine as a table or as a diagram."""

    help = "Print the state machines. `*` after an action: a comment is required."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the formats."""
        parser.add_argument("--format", choices=list(FORMATS), default="text", help="What to print (default: text).")

    def handle(self, *_args: object, **options: object) -> None:
        """Print every machine in the chosen format."""
        render = FORMATS[str(options["format"])]
        self.stdout.write("\n\n".join(render(model).rstrip() for model in workflow_models()))


def text(model: type[WorkflowEntity]) -> str:
    """Return a machine as columns for a terminal."""
    rows = _rows(model.machine)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join([f"{_title(model)}: {_states(model.machine)}", *(f"  {line}" for line in lines)])


def markdown(model: type[WorkflowEntity]) -> str:
    """Return a machine as a Markdown table."""
    head, *rows = ("| " + " | ".join(row) + " |" for row in _rows(model.machine))
    title = f"**{_title(model)}** {_states(model.machine)}"
    return "\n".join([title, "", head, "| --- " * len(HEAD) + "|", *rows])


def mermaid(model: type[WorkflowEntity]) -> str:
    """Return a machine as a Mermaid diagram in a Markdown fence."""
    return f"**{_title(model)}**\n\n```mermaid\n{model.machine.diagram()}```"


FORMATS: Final[dict[str, Callable[[type[WorkflowEntity]], str]]] = {
    "text": text,
    "mermaid": mermaid,
    "markdown": markdown,
}


def _title(model: type[WorkflowEntity]) -> str:
    return capfirst(str(model._meta.verbose_name))


def _states(machine: Machine) -> str:
    return ", ".join(map(_state, machine.states))


def _state(state: State) -> str:
    marks = [mark for mark in ("initial", "final") if getattr(state, mark)]
    return f"{state.name} ({', '.join(marks)})" if marks else state.name


def _rows(machine: Machine) -> list[Row]:
    return [HEAD, *map(_row, machine.transitions)]


def _row(way: Transition) -> Row:
    action = f"{way.action}{'*' * way.requires_comment}"
    return action, ", ".join(way.from_states), way.to_state.value, ", ".join(way.who.names), "; ".join(way.rules)
