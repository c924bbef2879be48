"""`mockrec stats SESSION… [EXPR]`: statistics of sessions, as text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.arguments import Sessions, Where
from mockrec.cli.fitting import Fit
from mockrec.cli.many import exit_if_skipped, skipped_sessions, warn_of_all
from mockrec.cli.options import Engine, NoPager, Quiet, Verbose, Wide
from mockrec.cli.paging import paged
from mockrec.cli.progress import Progress
from mockrec.cli.reading import Read
from mockrec.cli.sparkline import sparkline

if TYPE_CHECKING:
    from mockrec.formats.analysis.stats import Stats
    from mockrec.formats.analysis.stats_groups import EndpointStats, OperationStats

_TOP = 20


class StatsShape(StrEnum):
    """`--as` of statistics."""

    text = "text"
    json = "json"
    csv = "csv"
    markdown = "markdown"


_HEADER = ("COUNT", "FAILED", "P50", "P90", "P99", "MAX", "TTFB", "BYTES", "LATENCY", "ENDPOINT")
_OPTIONAL = (3, 6, 5)
"""Columns of the endpoints that a narrow terminal leaves out: P90, TTFB, MAX."""
_LEAST_ENDPOINT = 26
_ID_LENGTH = 23
"""Characters of an id on a terminal: its time in milliseconds and 28 random bits (RFC 9562, 5.7)."""


def stats(
    sessions: Sessions,
    where: Where = None,
    shape: Annotated[
        StatsShape,
        typer.Option(
            "--as",
            metavar="text|json|csv|markdown",
            help="What is printed: text for people, one JSON object, or the endpoints as CSV or a Markdown table.",
        ),
    ] = StatsShape.text,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --as json.")] = False,
    top: Annotated[
        int,
        typer.Option(
            "--top", "--limit", metavar="N", min=1, help="How many endpoints the text shows, the busiest first."
        ),
    ] = _TOP,
    wide: Wide = False,
    no_pager: NoPager = False,
    engine: Engine = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Count what sessions hold, and how long it took.

    Statuses, latency and bytes of each endpoint, errors, the slowest exchanges, and how often each rule answered.
    """
    from mockrec.formats.analysis.session_stats import add_session
    from mockrec.formats.analysis.stats import Stats
    from mockrec.formats.select.selection import Selection

    paths, expression = arguments.split(sessions, where)
    plan = arguments.parse(expression)
    names = sessions if where is not None or expression is None else sessions[:-1]
    skipped = skipped_sessions(allowed=arguments.has_many(names))
    progress = Progress(paths, readings=1 if plan is None else 2)
    collected = Stats()
    read: list[Read] = []
    if engine is not None:
        # Imported here: only a cluster needs it.
        from mockrec.cli.on_cluster import stats_on_cluster

        collected = stats_on_cluster(engine, paths, expression, skipped, read)
        paths = []
    elif skipped.allowed:
        # Imported here: only many sessions need it.
        from mockrec.formats.fleet.statistics import add_sessions

        read += add_sessions(collected, paths, plan, skipped, progress)
        paths = []
    for path in paths:
        selection = Selection([path], plan, progress=progress)
        read += selection.inputs
        collected.bodies_folders = [source.context.bodies_folder for source in selection.inputs]
        try:
            add_session(collected, selection, plan)
        finally:
            selection.close()
    progress.finish()
    shape = StatsShape.json if as_json else shape
    with paged(wanted=not no_pager and shape is StatsShape.text):
        for line in _lines(collected, shape, top, None if wide else printing.columns(sys.stdout)):
            printing.data(line)
    warn_of_all(read)
    exit_if_skipped(skipped)


def _lines(collected: Stats, shape: StatsShape, top: int, width: int | None) -> Iterator[str]:
    if shape is StatsShape.text:
        yield from _text(collected, top, width)
    elif shape is StatsShape.json:
        from mockrec.formats.files.jsonl import encode_lines

        yield encode_lines([summary(collected)]).decode().rstrip("\n")
    else:
        from mockrec.cli.stats_tables import csv_lines, markdown_lines

        yield from (csv_lines if shape is StatsShape.csv else markdown_lines)(summary(collected))


def summary(collected: Stats) -> dict[str, Any]:
    """Return the statistics as an object for JSON."""
    return {
        "exchanges": collected.exchanges,
        "first": collected.first,
        "last": collected.last,
        "seconds": seconds(collected),
        "rate": rate(collected),
        "records": dict(collected.records),
        "status": _classes(collected),
        "statusCodes": {str(code): count for code, count in sorted(collected.statuses.items())},
        "latency": collected.percentiles(),
        "ttfb": collected.first_bytes(),
        "bytes": {
            "request": collected.request_bytes,
            "response": collected.response_bytes,
            "largestResponse": collected.largest,
            "tunnels": collected.tunnel_bytes,
        },
        "endpoints": [
            {
                "method": method,
                "host": host,
                "path": path,
                "count": endpoint.count,
                "failed": endpoint.failed,
                "status": dict(sorted(endpoint.statuses.items())),
                "latency": collected.percentiles(endpoint),
                "ttfb": collected.first_bytes(endpoint),
                "bytes": endpoint.bytes,
            }
            for (method, host, path), endpoint in _busiest(collected)
        ],
        "operations": [
            {
                "place": place,
                "operation": name,
                "count": operation.count,
                "failed": operation.failed,
                "status": dict(sorted(operation.statuses.items())),
                "latency": collected.percentiles(operation),
                "bytes": operation.bytes,
                **_tokens(operation),
            }
            for (place, name), operation in _busiest_operations(collected)
        ],
        "errors": [
            {"type": kind, "error": error, "count": count} for (kind, error), count in collected.errors.most_common()
        ],
        "slowest": collected.slowest,
        "rules": [{"id": rule, "used": count} for rule, count in collected.rules.most_common()],
        "unusedRules": collected.unused_rules,
        "withoutRule": collected.without_rule,
    }


def seconds(collected: Stats) -> float | None:
    """Return the time from the first to the last record, in seconds; None without both."""
    try:
        first, last = (datetime.fromisoformat(text) for text in (collected.first, collected.last))
        return (last - first).total_seconds()
    except (ValueError, TypeError):  # a time zone that only one of them has
        return None


def rate(collected: Stats) -> float | None:
    """Return the exchanges per second of the session; None if it has no length."""
    length = seconds(collected)
    return collected.exchanges / length if length else None


def _classes(collected: Stats) -> dict[str, int]:
    classes: dict[str, int] = {}
    for code, count in sorted(collected.statuses.items()):
        name = f"{code // 100}xx"
        classes[name] = classes.get(name, 0) + count
    return classes


def _busiest(collected: Stats) -> list[tuple[tuple[str, str, str], EndpointStats]]:
    return sorted(collected.endpoints.items(), key=lambda item: (-item[1].count, item[0]))


def _busiest_operations(collected: Stats) -> list[tuple[tuple[str, str], OperationStats]]:
    return sorted(collected.operations.items(), key=lambda item: (-item[1].count, item[0]))


def _tokens(operation: OperationStats) -> dict[str, Any]:
    """Return the tokens of an LLM's operation; nothing for others."""
    if not (operation.input_tokens or operation.output_tokens):
        return {}
    return {"tokens": {"input": operation.input_tokens, "output": operation.output_tokens}}


def _text(collected: Stats, top: int, width: int | None) -> Iterator[str]:
    yield f"{printing.plural(collected.exchanges, 'exchange')}, {printing.plural(collected.records.total(), 'record')}"
    if collected.first:
        yield f"from {printing.escape(collected.first)} to {printing.escape(collected.last)}"
    if (length := seconds(collected)) and collected.exchanges:
        yield f"rate     {_rate(collected.exchanges / length)} over {printing.duration(length * 1000)}"
    if collected.statuses:
        classes = " · ".join(f"{name} {count}" for name, count in _classes(collected).items())
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(collected.statuses.items()))
        yield f"status   {classes}   ({codes})"
    if latency := collected.percentiles():
        yield "latency  " + _percentiles(latency)
    if ttfb := collected.first_bytes():
        yield "ttfb     " + _percentiles(ttfb)
    yield (
        f"bodies   {printing.size(collected.request_bytes)} in requests · {printing.size(collected.response_bytes)} in "
        f"responses, the largest {printing.size(collected.largest)}"
    )
    if collected.tunnel_bytes:
        yield f"tunnels  {printing.size(collected.tunnel_bytes)}"
    yield from _endpoints(collected, top, width)
    yield from _operations(collected, top, width)
    yield from _errors(collected, width)
    yield from _slowest(collected, width)
    yield from _rules(collected, width)


def _whole(width: int | None) -> str:
    """Return the option that shows cut cells whole; on a terminal, the table of endpoints names one for all."""
    return "" if width is not None else "--as json"


def _percentiles(values: dict[str, float]) -> str:
    return " · ".join(f"{name} {printing.duration(value)}" for name, value in values.items())


def _rate(per_second: float) -> str:
    """`1,234 exchanges/s`, `0.25 exchanges/s`."""
    return f"{per_second:,.0f} exchanges/s" if per_second >= 10 else f"{per_second:.2f} exchanges/s"


def _fit(width: int | None, *shrink: int, middle: int = -1, least: int = 12) -> Fit | None:
    """Return how a table fits the terminal, if it goes to one."""
    return None if width is None else Fit(width, dict.fromkeys(shrink, least), frozenset({middle}))


def _endpoints(collected: Stats, top: int, width: int | None) -> Iterator[str]:
    busiest = _busiest(collected)
    if not busiest:
        return
    rows = []
    for (method, host, path), endpoint in busiest[:top]:
        latency = collected.percentiles(endpoint)
        times = [printing.duration(latency.get(name)) for name in ("p50", "p90", "p99", "max")]
        times.append(printing.duration(collected.first_bytes(endpoint).get("p50")))
        failed = str(endpoint.failed) if endpoint.failed else ""
        place = printing.escape_url(f"{method} {host}{path}")
        histogram = sparkline(endpoint.durations)
        rows.append((str(endpoint.count), failed, *times, printing.size(endpoint.bytes), histogram, place))
    yield ""
    last = len(_HEADER) - 1
    fit = None if width is None else Fit(width, {last: _LEAST_ENDPOINT}, frozenset({last}), _OPTIONAL)
    yield from printing.table_lines(
        _HEADER, rows, right=frozenset(range(8)), whole="--wide", fit=fit, colour=_failed_colour
    )
    if len(busiest) > top:
        yield f"… and {len(busiest) - top} more (--top shows more, --as json all)"


def _operations(collected: Stats, top: int, width: int | None) -> Iterator[str]:
    busiest = _busiest_operations(collected)
    if not busiest:
        return
    rows = []
    for (place, name), operation in busiest[:top]:
        latency = collected.percentiles(operation)
        times = [printing.duration(latency.get(share)) for share in ("p50", "p90", "p99", "max")]
        tokens = f"{operation.input_tokens}/{operation.output_tokens}" if _tokens(operation) else ""
        failed = str(operation.failed) if operation.failed else ""
        size = printing.size(operation.bytes)
        rows.append((str(operation.count), failed, *times, size, tokens, *map(printing.escape, (name, place))))
    yield ""
    header = ["COUNT", "FAILED", "P50", "P90", "P99", "MAX", "BYTES", "TOKENS IN/OUT", "OPERATION", "PLACE"]
    if not any(row[7] for row in rows):
        header = [title for title in header if title != "TOKENS IN/OUT"]
        rows = [(*row[:7], *row[8:]) for row in rows]
    last = len(header) - 1
    yield from printing.table_lines(
        header, rows, right=frozenset(range(last - 1)), whole=_whole(width), fit=_fit(width, last - 1, last)
    )
    if len(busiest) > top:
        yield f"… and {len(busiest) - top} more (--top shows more, --as json all)"


def _failed_colour(column: int, text: str) -> str:
    return "red" if column == 1 and text else ""


def _errors(collected: Stats, width: int | None) -> Iterator[str]:
    if collected.errors:
        rows = [
            (str(count), kind, printing.escape(error)) for (kind, error), count in collected.errors.most_common(_TOP)
        ]
        yield ""
        yield from printing.table_lines(
            ("COUNT", "TYPE", "ERROR"),
            rows,
            right=frozenset({0}),
            whole="" if width else "--as json",
            fit=_fit(width, 2),
        )


def _slowest(collected: Stats, width: int | None) -> Iterator[str]:
    if collected.slowest:
        names = ("status", "method", "url", "id")
        rows = [
            (printing.duration(exchange["duration"]), *(_slow_cell(name, exchange, width) for name in names))
            for exchange in collected.slowest
        ]
        yield ""
        fit = _fit(width, 3, middle=3, least=12)
        yield from printing.table_lines(
            ("SLOWEST", "STATUS", "METHOD", "URL", "ID"),
            rows,
            right=frozenset({0}),
            whole="" if width else "--as json",
            fit=fit,
        )


def _slow_cell(name: str, exchange: Mapping[str, Any], width: int | None) -> str:
    text = str(exchange.get(name, ""))
    if width is None:
        return printing.escape(text)
    return printing.escape_url(text) if name == "url" else printing.escape(text[:_ID_LENGTH])


def _rules(collected: Stats, width: int | None) -> Iterator[str]:
    if collected.rules or collected.known_rules:
        rows = [(str(count), printing.escape(rule)) for rule, count in collected.rules.most_common(_TOP)]
        if collected.without_rule:
            rows.append((str(collected.without_rule), "(no rule)"))
        yield ""
        yield from printing.table_lines(
            ("USED", "RULE"), rows, right=frozenset({0}), whole=_whole(width), fit=_fit(width, 1)
        )
        if collected.unused_rules:
            yield "never used: " + ", ".join(map(printing.escape, collected.unused_rules))
