"""L1: the waits of requests at 50 % and 80 % of the highest rate, recorded and not, and the pauses of the collector."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import HERE, Bench
from load import Work, drive
from open_loop import Latencies, drive_at_rate
from rows import Row
from servers import mockrec

_SHARES = (0.5, 0.8)
_HOOKS = HERE / "peers" / "collector_pauses"


def l1(bench: Bench) -> Sequence[Row]:
    """Percentiles of the wait, in milliseconds, from the moment when a request was due."""
    rows: list[Row] = []
    for record in (True, False):
        with mockrec(bench, record=record) as server:
            highest = drive(bench, server.port, Work(), seconds=bench.seconds).per_second
        for share in _SHARES:
            turns = [_turn(bench, record, highest * share) for _ in range(bench.rounds)]
            rows.append(_row(record, share, highest * share, turns))
    return rows


def _turn(bench: Bench, record: bool, rate: float) -> tuple[Latencies, list[float]]:
    with bench.scratch() as folder:
        pauses = folder / "pauses.json"
        hooks = {"PYTHONPATH": str(_HOOKS), "BENCH_COLLECTOR_PAUSES": str(pauses)}
        with mockrec(bench, record=record, environment=hooks) as server:
            if bench.warmup:
                drive_at_rate(server.port, rate, bench.warmup)
            began = time.perf_counter()
            found = drive_at_rate(server.port, rate, bench.seconds)
            ended = time.perf_counter()
        return found, [length for start, length in _collections(pauses) if began <= start <= ended]


def _collections(path: Path) -> list[tuple[float, float]]:
    """When each collection of the server began, and its length in milliseconds."""
    return [(start, length) for start, length in json.loads(path.read_text(encoding="utf-8"))]


def _row(record: bool, share: float, rate: float, turns: Sequence[tuple[Latencies, list[float]]]) -> Row:
    def at(percentile: float) -> float:
        return median(waits.percentile(percentile) for waits, _ in turns)

    longest = max(waits.waits[-1] for waits, _ in turns)
    late = max(waits.late for waits, _ in turns)
    pause = max((one for _, pauses in turns for one in pauses), default=0.0)
    count = sum(len(pauses) for _, pauses in turns)
    name = "recorded" if record else "not recorded"
    return Row(
        "L1",
        f"wait at {share:.0%} of the highest rate ({rate:,.0f}/s), {name}: p99",
        None,
        at(0.99),
        f"p50 {at(0.5):.2f}, p99.9 {at(0.999):.2f}, longest {longest:.1f} ms",
        f"{count} collections, longest {pause:.1f} ms; driver late by {late:.1f} ms",
        unit="ms",
        runs=[{"p50": waits.percentile(0.5), "p99": waits.percentile(0.99)} for waits, _ in turns],
    )
