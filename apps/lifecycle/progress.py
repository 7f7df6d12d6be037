"""Progress bars for commands that write many rows."""

import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

COLUMNS: Final[tuple[type[ProgressColumn], ...]] = (BarColumn, MofNCompleteColumn, TimeRemainingColumn)


def progress() -> Progress:
    """Return a progress display on standard error, which shows nothing when that is not a terminal."""
    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), *(column() for column in COLUMNS)]
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
