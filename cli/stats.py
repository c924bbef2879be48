"""`mockrec stats SESSION… [EXPR]`: statistics of sessions, as text or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.arguments import Sessions, Where
from mockrec.cli.many import exit_if_skipped, skipped_sessions, warn_of_all
from mockrec.cli.options import As, Engine, OutputShape, Quiet, Verbose
from mockrec.cli.progress import Progress
from mockrec.cli.reading import Read

if TYPE_CHECKING:
    from mockrec.formats.analysis.stats import EndpointStats, Stats

_TOP = 20


def stats(
    sessions: Sessions,
    where: Where = None,
    shape: As = OutputShape.text,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --as json.")] = False,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="How many endpoints the text shows, the busiest first.")
    ] = _TOP,
    engine: Engine = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Count what sessions hold, and how long it took.

    Statuses, latency and bytes of each endpoint, errors, the slowest exchanges, and how often each rule answered.
    """
    from mockrec.formats.analysis.stats import NEEDED, Stats
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
        selection.only(NEEDED)
        read += selection.inputs
        try:
            collected.add(selection)
        finally:
            selection.close()
    progress.finish()
    if as_json or shape is OutputShape.json:
        from mockrec.formats.files.jsonl import encode_lines

        printing.data(encode_lines([summary(collected)]).decode().rstrip("\n"))
    else:
        for line in _text(collected, top):
            printing.data(line)
    warn_of_all(read)
    exit_if_skipped(skipped)


def summary(collected: Stats) -> dict[str, Any]:
    """Return the statistics as an object for JSON."""
    return {
        "exchanges": collected.exchanges,
        "first": collected.first,
        "last": collected.last,
        "records": dict(collected.records),
        "status": _classes(collected),
        "statusCodes": {str(code): count for code, count in sorted(collected.statuses.items())},
        "latency": collected.percentiles(),
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
                "bytes": endpoint.bytes,
            }
            for (method, host, path), endpoint in _busiest(collected)
        ],
        "errors": [
            {"type": kind, "error": error, "count": count} for (kind, error), count in collected.errors.most_common()
        ],
        "slowest": collected.slowest,
        "rules": [{"id": rule, "used": count} for rule, count in collected.rules.most_common()],
        "unusedRules": collected.unused_rules,
        "withoutRule": collected.without_rule,
    }


def _classes(collected: Stats) -> dict[str, int]:
    classes: dict[str, int] = {}
    for code, count in sorted(collected.statuses.items()):
        name = f"{code // 100}xx"
        classes[name] = classes.get(name, 0) + count
    return classes


def _busiest(collected: Stats) -> list[tuple[tuple[str, str, str], EndpointStats]]:
    return sorted(collected.endpoints.items(), key=lambda item: (-item[1].count, item[0]))


def _text(collected: Stats, top: int) -> Iterator[str]:
    yield f"{printing.plural(collected.exchanges, 'exchange')}, {printing.plural(collected.records.total(), 'record')}"
    if collected.first:
        yield f"from {printing.escape(collected.first)} to {printing.escape(collected.last)}"
    if collected.statuses:
        classes = " · ".join(f"{name} {count}" for name, count in _classes(collected).items())
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(collected.statuses.items()))
        yield f"status   {classes}   ({codes})"
    if latency := collected.percentiles():
        yield "latency  " + " · ".join(f"{name} {printing.duration(value)}" for name, value in latency.items())
    yield (
        f"bodies   {printing.size(collected.request_bytes)} in requests · {printing.size(collected.response_bytes)} in "
        f"responses, the largest {printing.size(collected.largest)}"
    )
    if collected.tunnel_bytes:
        yield f"tunnels  {printing.size(collected.tunnel_bytes)}"
    yield from _endpoints(collected, top)
    yield from _errors(collected)
    yield from _slowest(collected)
    yield from _rules(collected)


def _endpoints(collected: Stats, top: int) -> Iterator[str]:
    busiest = _busiest(collected)
    if not busiest:
        return
    rows = []
    for (method, host, path), endpoint in busiest[:top]:
        latency = collected.percentiles(endpoint)
        times = [printing.duration(latency.get(name)) for name in ("p50", "p90", "p99", "max")]
        failed = str(endpoint.failed) if endpoint.failed else ""
        place = printing.escape(f"{method} {host}{path}")
        rows.append((str(endpoint.count), failed, *times, printing.size(endpoint.bytes), place))
    yield ""
    header = ("COUNT", "FAILED", "P50", "P90", "P99", "MAX", "BYTES", "ENDPOINT")
    yield from printing.table_lines(header, rows, right=frozenset(range(7)), whole="--as json")
    if len(busiest) > top:
        yield f"… and {len(busiest) - top} more (--top shows more, --as json all)"


def _errors(collected: Stats) -> Iterator[str]:
    if collected.errors:
        rows = [
            (str(count), kind, printing.escape(error)) for (kind, error), count in collected.errors.most_common(_TOP)
        ]
        yield ""
        yield from printing.table_lines(("COUNT", "TYPE", "ERROR"), rows, right=frozenset({0}), whole="--as json")


def _slowest(collected: Stats) -> Iterator[str]:
    if collected.slowest:
        names = ("status", "method", "url", "id")
        rows = [
            (printing.duration(exchange["duration"]), *(printing.escape(str(exchange.get(name, ""))) for name in names))
            for exchange in collected.slowest
        ]
        yield ""
        yield from printing.table_lines(
            ("SLOWEST", "STATUS", "METHOD", "URL", "ID"), rows, right=frozenset({0}), whole="--as json"
        )


def _rules(collected: Stats) -> Iterator[str]:
    if collected.rules or collected.known_rules:
        rows = [(str(count), printing.escape(rule)) for rule, count in collected.rules.most_common(_TOP)]
        if collected.without_rule:
            rows.append((str(collected.without_rule), "(no rule)"))
        yield ""
        yield from printing.table_lines(("USED", "RULE"), rows, right=frozenset({0}), whole="--as json")
        if collected.unused_rules:
            yield "never used: " + ", ".join(map(printing.escape, collected.unused_rules))
