"""The endpoints of `mockrec stats` as CSV, and all of its figures as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mockrec.cli import printing

_MOST_ROWS = 100
"""Endpoints in Markdown: a job summary is read by people, and GitHub cuts it at 1 MiB."""
_TIMES = ("p50", "p90", "p99", "max")


def csv_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a header and a line for each endpoint; durations in milliseconds, sizes in bytes."""
    times = [f"{kind}_{name}" for kind in ("latency", "ttfb") for name in _TIMES]
    yield _csv(["method", "host", "path", "count", "failed", *times, "bytes"])
    for endpoint in found["endpoints"]:
        values = [endpoint[kind].get(name) for kind in ("latency", "ttfb") for name in _TIMES]
        place = [printing.escape(endpoint[name]) for name in ("method", "host", "path")]
        yield _csv([*place, endpoint["count"], endpoint["failed"], *values, endpoint["bytes"]])


def markdown_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the summary and tables of endpoints, errors and rules."""
    length = found["seconds"]
    span = f" in {printing.duration(length * 1000)}" if length else ""
    rate = f", {found['rate']:.2f}/s" if found["rate"] else ""
    yield f"**{printing.plural(found['exchanges'], 'exchange')}**{span}{rate}"
    yield ""
    if found["status"]:
        yield " · ".join(f"{name}: {count}" for name, count in found["status"].items())
        yield ""
    endpoints = found["endpoints"]
    yield from _table(
        ["Endpoint", "Count", "Failed", "p50", "p90", "p99", "Max", "TTFB p50", "Bytes"],
        [
            [
                _code(f"{one['method']} {one['host']}{one['path']}"),
                str(one["count"]),
                str(one["failed"]),
                *(printing.duration(one["latency"].get(name)) for name in _TIMES),
                printing.duration(one["ttfb"].get("p50")),
                printing.size(one["bytes"]),
            ]
            for one in endpoints[:_MOST_ROWS]
        ],
    )
    if len(endpoints) > _MOST_ROWS:
        yield f"… and {len(endpoints) - _MOST_ROWS} more"
    if found["errors"]:
        yield ""
        rows = [[_code(one["type"]), _code(one["error"]), str(one["count"])] for one in found["errors"][:_MOST_ROWS]]
        yield from _table(["Type", "Error", "Count"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _code(text: str) -> str:
    """Return text from the wire as code in a cell of a Markdown table, where it can be no markup."""
    shown = printing.escape(text).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    return f"{fence} {shown} {fence}" if "`" in shown else f"`{shown}`"


def _longest_run(text: str) -> int:
    """Return the length of the longest run of backticks."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest


def _csv(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
