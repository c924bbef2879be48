"""Start-up time and memory: figures of mockrec's own, without a peer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import Bench
from idle import allow_files, idle_connections
from load import Work, drive
from plain import plain_install
from process import rss_bytes, seconds_to_run, wait_until_written
from rows import Row, Target
from servers import Server, mockrec

# Enough exchanges before the first look that lazy imports and caches are not taken for connections.
WARM_CONNECTIONS = 16


def _seconds_to_ready(bench: Bench) -> float:
    started = time.perf_counter()
    with mockrec(bench):
        return time.perf_counter() - started


def s1(bench: Bench) -> Sequence[Row]:
    """The time until something is there in the plain install, beside what the bare interpreter takes."""
    with plain_install(bench) as plain:
        return _s1(plain)


def _s1(bench: Bench) -> Sequence[Row]:
    sibling = bench.mockrec.parent / "python"
    python = sibling if sibling.exists() else Path(sys.executable)
    runs: list[dict[str, float]] = []
    # The first start reads everything from disk and may compile: it is no sample.
    for number in range(bench.starts + 1):
        sample = {
            "python -c pass": seconds_to_run([python, "-c", "pass"]) * 1000,
            "help": seconds_to_run([bench.mockrec, "--help"]) * 1000,
            "ready": _seconds_to_ready(bench) * 1000,
        }
        if number:
            runs.append(sample)
    bare = f"{median(run['python -c pass'] for run in runs):.1f} ms python -c pass"

    def row(name: str, work: str, bound: float) -> Row:
        value = median(run[name] for run in runs)
        samples = [{key: run[key] for key in (name, "python -c pass")} for run in runs]
        return Row("S1", work, Target(bound, False), value, f"{value:.1f} ms", bare, unit="ms", runs=samples)

    return [
        row("help", "mockrec --help, plain install", 80),
        row("ready", "mockrec run until ready, plain install", 250),
    ]


def _load_until(bench: Bench, server: Server, done: int, wanted: int) -> int:
    """Drives until at least `wanted` exchanges are done in all; a first turn finds the rate.

    At least one turn, or a server faster than expected would be compared with itself.
    """
    seconds = min(1.0, bench.seconds)
    started_with = done
    while done < wanted or done == started_with:
        load = drive(bench, server.port, Work(), seconds=seconds)
        done += load.requests
        seconds = max(min(1.0, bench.seconds), min((wanted - done) / load.per_second, 60.0))
    return done


def m1(bench: Bench) -> Sequence[Row]:
    """Whether memory grows with the number of exchanges."""
    with mockrec(bench) as server:
        assert server.log is not None
        samples: list[tuple[int, int]] = []
        done = 0
        for wanted in (bench.early, bench.exchanges):
            done = _load_until(bench, server, done, wanted)
            wait_until_written(server.log)
            samples.append((done, rss_bytes(server.pid)))
    (early, before), (late, after) = samples
    return [
        Row(
            "M1",
            f"memory after {late:,} exchanges against after {early:,}",
            Target(20, False),
            (after - before) / 1e6,
            f"{after / 1e6:.1f} MB",
            f"{before / 1e6:.1f} MB",
            unit="MB",
            runs=[{"exchanges": count, "rss": rss} for count, rss in samples],
        )
    ]


def m3(bench: Bench) -> Sequence[Row]:
    """What an idle connection holds after one request."""
    allow_files(bench.idle)
    with mockrec(bench) as server:
        assert server.log is not None
        with idle_connections(server.port, WARM_CONNECTIONS):
            wait_until_written(server.log)
        before = rss_bytes(server.pid)
        with idle_connections(server.port, bench.idle):
            wait_until_written(server.log)
            after = rss_bytes(server.pid)
    each = (after - before) / bench.idle / 1e3
    return [
        Row(
            "M3",
            f"{bench.idle:,} idle keep-alive connections, each",
            Target(40, False),
            each,
            f"{after / 1e6:.1f} MB",
            f"{before / 1e6:.1f} MB before",
            unit="KB",
            runs=[{"connections": bench.idle, "before": before, "after": after}],
        )
    ]
