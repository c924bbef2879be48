"""The report for GitHub Actions: annotations, as lines on stdout that the runner reads as commands."""

from __future__ import annotations

from collections.abc import Iterator

from mockrec.formats.diff.model.finding import Severity
from mockrec.formats.diff.report.entries import escaped, groups, headline
from mockrec.formats.diff.result import Result

_LEVELS = {Severity.breaking: "error", Severity.changed: "warning", Severity.info: "notice"}
_MOST = 9
"""GitHub shows ten annotations of each level for a step; the tenth has the number of the missing ones."""


def report(result: Result) -> str:
    """Return one line for each annotation. Recorded text is escaped, so it can neither end the line nor be a
    command."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    counts = dict.fromkeys(_LEVELS.values(), 0)
    for group in groups(result):
        for entry in group.entries:
            level = _LEVELS[entry.severity]
            counts[level] += 1
            if counts[level] <= _MOST:
                yield _command(level, f"{group.title} {entry.kind}", entry.sentence)
    for level, count in counts.items():
        if count > _MOST:
            yield _command(level, "mockrec diff", f"and {count - _MOST} more; {headline(result)}")


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(escaped(title)[:200])}::{_data(escaped(message)[:2000])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
