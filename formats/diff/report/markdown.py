"""The report for job summaries and comments of pull requests, within their size limits."""

from __future__ import annotations

import re

from mockrec.formats.diff.report.entries import Entry, Group, groups, headline, one_line, remarks
from mockrec.formats.diff.result import Result

MOST_BYTES = 60_000
"""Comments on GitHub have at most 65,536 characters."""
_CELL = 160
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#&~])")


def report(result: Result) -> str:
    """Return Markdown with one table for each endpoint. At the size limit it ends with the number of missing
    entries."""
    head = [f"## mockrec diff: {_text(headline(result), 300)}", ""]
    for letter, side, end in (("A", result.a, "<br>"), ("B", result.b, "")):
        word = "exchange" if side.exchanges == 1 else "exchanges"
        head.append(f"{letter}: {_code(side.name)} ({side.exchanges} {word}){end}")
    head.append("")
    tail = ["", *(f"* {_text(remark, 300)}" for remark in remarks(result)[:50])]
    tail += [f"* unused rule: {_code(str(rule))}" for rule in result.unused_rules[:50]]
    room = MOST_BYTES - _bytes(head) - _bytes(tail)
    body: list[str] = []
    found = groups(result)
    left = sum(len(group.entries) for group in found)
    for group in found:
        for index, row in enumerate(_rows(group)):
            lines = [*_table_head(group), row] if index == 0 else [row]
            if _bytes(lines) > room:
                body += ["", f"… and {left} more, in other reports."]
                return _joined(head, body, tail)
            room -= _bytes(lines)
            body += lines
            left -= 1
    return _joined(head, body, tail)


def _table_head(group: Group) -> list[str]:
    return ["", f"### {_code(group.title)}", "", "| | path | A | B | |", "|---|---|---|---|---|"]


def _rows(group: Group) -> list[str]:
    return [
        f"| {entry.severity} | {_code(entry.path)}{_how(entry)} | {_code(entry.a)} | {_code(entry.b)} | {entry.times} |"
        for entry in group.entries
    ]


def _how(entry: Entry) -> str:
    """Return the kind of difference, unless the path shows it."""
    return "" if entry.is_short else f" {entry.kind}"


def _code(text: str) -> str:
    """Format any text as code in a cell of a table, between enough backticks."""
    line = one_line(text, _CELL)
    if not line:
        return ""
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")


def _text(text: str, most: int) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text, most))


def _bytes(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _joined(*parts: list[str]) -> str:
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"
