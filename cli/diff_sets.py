"""`mockrec diff` of two sets of sessions: a report for each pair, and one sentence for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import typer

from mockrec.cli import printing
from mockrec.cli.diff import DiffWish, Report, compare, rendered, write_report
from mockrec.cli.many import skipped_sessions
from mockrec.formats.fleet.pairs import SessionPair, pair_sessions
from mockrec.formats.schema.errors import SessionError


@dataclass(slots=True)
class ComparedPair:
    """The comparison of a pair, as texts."""

    pair: SessionPair
    reports: dict[str, str] = field(default_factory=dict)
    """By the shape that was asked for."""
    failed: bool = True
    same: bool = False
    error: str = ""
    """Why one of the two could not be read; empty if both could."""
    file: str = ""
    """The session of the error."""


def compare_pair(pair: SessionPair, wish: DiffWish, shapes: Sequence[Report]) -> ComparedPair:
    """Compare a pair. A session that cannot be read is in the result, not raised."""
    if pair.a is None or pair.b is None:
        return ComparedPair(pair)
    try:
        result, severity = compare(pair.a, pair.b, wish)
    except SessionError as error:
        return ComparedPair(pair, error=error.message, file=error.file)
    reports = {str(shape): rendered(result, shape, severity, wish.verbose) for shape in dict.fromkeys(shapes)}
    return ComparedPair(pair, reports, result.failed(severity), result.same)


def diff_sets(
    a: Sequence[str],
    b: Sequence[str],
    wish: DiffWish,
    shape: Report,
    outputs: Sequence[tuple[str, Report]],
    *,
    force: bool,
    file_mode: int,
    engine: str | None = None,
) -> int:
    """Compare two sets and print the reports. Return the exit code."""
    shapes = (shape, *(chosen for _, chosen in outputs))
    if Report.junit in shapes:
        raise typer.BadParameter("a report in JUnit's XML is of two sessions, not of two sets")
    pairs = pair_sessions(a, b)
    if engine is None:
        found = [compare_pair(pair, wish, shapes) for pair in pairs]
    else:
        # Imported here: only a cluster needs it.
        from mockrec.cli.on_cluster import diff_on_cluster

        found = diff_on_cluster(engine, pairs, wish, shapes)
    skipped = skipped_sessions(allowed=True)
    for one in found:
        if one.error:
            skipped.add(SessionError(one.file, one.error))
    for path, chosen in outputs:
        write_report(path, set_report(found, chosen), force, file_mode)
    printing.data(set_report(found, shape).rstrip("\n"))
    return 1 if any(one.failed for one in found) else 0


def set_report(found: Sequence[ComparedPair], shape: Report) -> str:
    """Return the report of all pairs."""
    if shape is Report.json:
        return _json(found)
    head = "## {}\n" if shape is Report.markdown else "{}"
    lines: list[str] = []
    for one in found:
        if one.reports and not one.same:
            if shape is not Report.github:
                lines += [head.format(_shown(one.pair.key, shape)), ""]
            lines.append(one.reports[str(shape)].rstrip("\n"))
            lines.append("")
    lines += (f"* {line}" if shape is Report.markdown else line for line in _left_over(found, shape))
    if shape is not Report.github:
        lines.append(summary(found))
    return "\n".join(lines) + "\n"


def _left_over(found: Sequence[ComparedPair], shape: Report) -> Iterator[str]:
    for one in found:
        if one.error:
            yield f"not compared: {_shown(one.pair.key, shape)}: {_shown(one.file, shape)}: {_shown(one.error, shape)}"
        elif one.pair.b is None and one.pair.a is not None:
            yield f"only in A: {_shown(one.pair.key, shape)}: {_shown(one.pair.a, shape)}"
        elif one.pair.a is None and one.pair.b is not None:
            yield f"only in B: {_shown(one.pair.key, shape)}: {_shown(one.pair.b, shape)}"


def _shown(text: str, shape: Report) -> str:
    escaped = printing.escape(text)
    return escaped.replace("<", "&lt;").replace("|", "\\|") if shape is Report.markdown else escaped


def summary(found: Sequence[ComparedPair]) -> str:
    """Return one sentence: `12 pairs compared: 2 differ; only in A: 1 session`."""
    compared = [one for one in found if one.reports]
    differ = sum(not one.same for one in compared)
    words = f"{printing.plural(len(compared), 'pair')} compared: "
    words += f"{differ} differ" if differ else "no differences"
    for letter, count in (
        ("A", sum(one.pair.b is None for one in found)),
        ("B", sum(one.pair.a is None for one in found)),
    ):
        if count:
            words += f"; only in {letter}: {printing.plural(count, 'session')}"
    if errors := sum(bool(one.error) for one in found):
        words += f"; not compared: {printing.plural(errors, 'pair')}"
    return words


def _json(found: Sequence[ComparedPair]) -> str:
    document = {
        "schemaVersion": 1,
        "summary": {
            "pairs": sum(bool(one.reports) for one in found),
            "different": sum(bool(one.reports) and not one.same for one in found),
            "onlyInA": sum(one.pair.b is None for one in found),
            "onlyInB": sum(one.pair.a is None for one in found),
            "notCompared": sum(bool(one.error) for one in found),
        },
        "onlyInA": [{"key": one.pair.key, "session": one.pair.a} for one in found if one.pair.b is None],
        "onlyInB": [{"key": one.pair.key, "session": one.pair.b} for one in found if one.pair.a is None],
        "notCompared": [{"key": one.pair.key, "session": one.file, "reason": one.error} for one in found if one.error],
        "pairs": [
            {"key": one.pair.key, "report": json.loads(one.reports[str(Report.json)])} for one in found if one.reports
        ],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"
