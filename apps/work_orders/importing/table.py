"""Reads a CSV file as it comes: UTF-8 with or without a mark, any line ends, values over several lines."""

import csv
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

LONGEST_LINE: Final = 1 << 20
"""In bytes. A line beyond it is no line of a table, and reading it whole could take all memory."""

MARK: Final = b"\xef\xbb\xbf"
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
REQUIRED: Final = ("external_id", "site_code", "asset_code", "title")
OPTIONAL: Final = ("description", "priority", "due_at")


class FileError(Exception):
    """Raised when a file can't be read as a table of work orders; says at which line, and what to do."""


class Record(NamedTuple):
    """One row of the table: the line it starts on, counted from 1, and its cells; or why it can't be read."""

    line: int
    cells: list[str]
    reason: str = ""


class Table:
    """A CSV file with a header, read once from its start to its end.

    `advance` is told how many bytes were read. Bytes that are no UTF-8 stand in the cells as lone surrogates.
    Raises FileError when the header can't be used, and while rows are read when the file turns out to be no table.
    """

    def __init__(self, file: BinaryIO, advance: Callable[[int], object] = lambda _count: None) -> None:
        """Read the header."""
        self._reader = csv.reader(_lines(file, advance), strict=True)
        self.header = self._read_header()
        names = [name.strip().lower() for name in self.header]
        self.ignored = [name for name in names if name not in (*REQUIRED, *OPTIONAL)]
        self._places = {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}
        _check_names(names)

    def __iter__(self) -> Iterator[Record]:
        """Yield the rows that hold anything."""
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Record(line, [], _unreadable(str(error), line, self._reader.line_num))
                continue
            if any(cell.strip() for cell in cells):
                yield Record(line, cells, "" if len(cells) <= len(self.header) else self._too_wide(cells))

    def values(self, record: Record) -> dict[str, str]:
        """Return what a row holds under each name we know, without white space around it; nothing is an empty text."""
        cells = record.cells
        return {name: cells[place].strip() if place < len(cells) else "" for name, place in self._places.items()}

    def _read_header(self) -> list[str]:
        try:
            header = next(self._reader, [])
        except csv.Error as error:
            raise FileError(f"Line 1: the header can't be read ({error}). Is this a CSV file?") from None
        if not any(name.strip() for name in header):
            raise FileError("Line 1: there is no header. The first line names the columns.")
        return header

    def _too_wide(self, cells: list[str]) -> str:
        return f"there are {len(cells)} values under {len(self.header)} columns; put values with commas in quotes"


def _lines(file: BinaryIO, advance: Callable[[int], object]) -> Iterator[str]:
    line = file.readline(LONGEST_LINE)
    if line.startswith(UTF_16):
        raise FileError("Line 1: the file is in UTF-16. Save it as UTF-8.")
    number, line = 1, line.removeprefix(MARK)
    while line:
        if len(line) == LONGEST_LINE:
            raise FileError(f"Line {number} is longer than {LONGEST_LINE:,} bytes. Is this a CSV file?")
        advance(len(line))
        yield line.decode(errors="surrogateescape")
        number, line = number + 1, file.readline(LONGEST_LINE)


def _check_names(names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    twice = sorted({name for name in (*REQUIRED, *OPTIONAL) if names.count(name) > 1})
    if missing:
        found = ", ".join(names).encode(errors="backslashreplace").decode()
        raise FileError(f"Line 1: needed columns are missing: {', '.join(missing)}. The header reads: {found}")
    if twice:
        raise FileError(f"Line 1: columns are there more than once: {', '.join(twice)}.")


def _unreadable(error: str, first: int, last: int) -> str:
    if "field limit" in error or "unexpected end" in error:
        skipped = f"lines {first} to {last} were skipped" if last > first else "the line was skipped"
        return f"a quoted value has no end; {skipped}"
    if "expected after" in error:
        return 'there is text after a closing quote; write a quote inside a quoted value twice: ""'
    return error
