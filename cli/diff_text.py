"""The report of a comparison for the terminal: for each endpoint, the values of A next to those of B."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from mockrec.cli import cells
from mockrec.cli.printing import columns, escape, plural, style

if TYPE_CHECKING:
    from mockrec.formats.diff.model.finding import Severity
    from mockrec.formats.diff.report.entries import Entry
    from mockrec.formats.diff.result import Result

_COLOURS = {"breaking": "red", "changed": "yellow", "info": "cyan"}
_INDENT = "    "
_WIDEST = 200


def report(
    result: Result, *, fail_on: Severity | None = None, verbose: bool = False, width: int | None = None
) -> Iterator[str]:
    """Yield the lines, with text from the wire escaped. `fail_on`: least severity that fails; None: any."""
    from mockrec.formats.diff.report.entries import groups, headline, remarks

    width = width or min(_WIDEST, columns(sys.stdout) or shutil.get_terminal_size((120, 24)).columns)
    for letter, side in (("A", result.a), ("B", result.b)):
        yield f"{letter}  {escape(side.name)}  {plural(side.exchanges, 'exchange')}"
    yield ""
    for group in groups(result):
        yield style(escape(group.title), "bold", sys.stdout)
        for entry in group.entries:
            yield from _entry(entry, verbose, width)
        yield ""
    yield escape(headline(result))
    for remark in remarks(result):
        yield f"  {escape(remark)}"
    if fail_on is not None and not result.same and not result.failed(fail_on):
        yield f"  none of them is {fail_on}: exit code 0 (--fail-on {fail_on})"


def _entry(entry: Entry, verbose: bool, width: int) -> Iterator[str]:
    severity = style(entry.severity.ljust(8), _COLOURS[entry.severity], sys.stdout)
    times = f"  {entry.times}" if entry.times else ""
    if entry.is_short:
        yield f"  {severity}  {escape(entry.words)}{times}"
        if verbose:
            yield style(f"{_INDENT}{entry.fingerprint}  {escape(entry.example)}", "dim", sys.stdout)
        return
    yield f"  {severity}  {escape(entry.path)}  {entry.kind}{times}"
    column = max(20, (width - len(_INDENT) - len("A   │ B  ")) // 2)
    lines = zip_longest(_wrapped(entry.a, column), _wrapped(entry.b, column), fillvalue="")
    for number, (a, b) in enumerate(lines):
        letters = ("A", "B") if number == 0 else (" ", " ")
        yield f"{_INDENT}{letters[0]}  {cells.pad(a, column)} │ {letters[1]}  {b}".rstrip()
    if verbose:
        yield style(f"{_INDENT}{entry.fingerprint}  {escape(entry.example)}", "dim", sys.stdout)


def _wrapped(text: str, width: int) -> list[str]:
    """Wrap a value into the lines of its column."""
    found: list[str] = []
    for line in escape(text, keep_lines=True).expandtabs(4).split("\n"):
        if line.isascii():
            found += textwrap.wrap(line, width, drop_whitespace=False, replace_whitespace=False) or [""]
        else:
            found += cells.wrapped(line, width) or [""]
    return found
