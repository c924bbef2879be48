"""Runs the benchmarks: `python tests/benchmarks/run.py [--all | --only P1,P2] [--write]`; `--help` says the rest.

Exit code 0: everything was measured (a missed target is a result, not a failure); 1: an item could
not be measured, and keeps its earlier result in the documents; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import columns
import comparing
import filtering
import footprint
import growth
import latency
import machine
import measures
import proxying
import replaying
import report
import streams
import tables
import tls_proxying
import waiting_clients
from bench import HERE, Bench, BenchError, PeerMissing, find_mockrec
from rows import Row


def _p8(bench: Bench) -> Sequence[Row]:
    """Mocked, and through the proxy."""
    return [*measures.p8(bench), *proxying.p8_proxied(bench)]


ITEMS: dict[str, Callable[[Bench], Sequence[Row]]] = {
    "P1": measures.p1,
    "P2": measures.p2,
    "P3": proxying.p3,
    "P4": streams.p4,
    "P5": proxying.p5,
    "P6": streams.p6,
    "P7": proxying.p7,
    "P8": _p8,
    "P9": measures.p9,
    "P10": tls_proxying.p10,
    "P11": tls_proxying.p11,
    "R1": replaying.r1,
    "S1": footprint.s1,
    "S2": measures.s2,
    "L1": latency.l1,
    "G1": growth.g1,
    "T1": waiting_clients.t1,
    "M1": footprint.m1,
    "M2": proxying.m2,
    "M3": footprint.m3,
    "F1": filtering.f1,
    "F2": tables.f2,
    "F3": comparing.f3,
    "F4": tables.f4,
    "F5": columns.f5,
}
DOCS = HERE.parent.parent / "docs"
_FAILED = "failed"


def _items(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ITEMS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    return names


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description="mockrec against its peers, turn by turn")
    parser.set_defaults(only=list(ITEMS))
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", dest="only", action="store_const", const=list(ITEMS), help="every item (the default)")
    which.add_argument("--only", type=_items, metavar="P1,P2", help="only these items")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parser.add_argument("--exchanges", type=int, default=1_000_000, help="of M1 (about 2 KB of disk each)")
    parser.add_argument("--mockrec", metavar="PATH", help="the executable (default: beside this Python, on PATH)")
    parser.add_argument("--work", metavar="FOLDER", help="where logs go while they are written (default: temporary)")
    parser.add_argument("--smoke", action="store_true", help="only show that everything runs, in seconds")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and .json")
    options = parser.parse_args(argv)
    if options.smoke and options.write:
        parser.error("--smoke measures nothing worth writing")
    if options.seconds <= 0 or options.rounds < 1 or options.exchanges < 1:
        parser.error("--seconds, --rounds and --exchanges must be positive")
    return options


def _bench(options: argparse.Namespace, work: Path) -> Bench:
    bench = Bench(
        mockrec=find_mockrec(options.mockrec),
        peers=Path(os.environ.get("MOCKREC_PEERS") or HERE / ".peers").absolute(),
        work=work,
        seconds=options.seconds,
        warmup=min(2.0, options.seconds),
        rounds=options.rounds,
        exchanges=options.exchanges,
        early=min(50_000, max(1, options.exchanges // 2)),
    )
    if not options.smoke:
        return bench
    return replace(bench, smoke=True, seconds=0.15, warmup=0.0, rounds=1, exchanges=400, early=100, idle=50, starts=1)


def _measure(bench: Bench, names: Sequence[str]) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    failed = False
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows += ITEMS[name](bench)
        except PeerMissing as error:
            rows.append(Row(name, "–", note=f"{error} is not installed"))
        except BenchError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
            rows.append(Row(name, "–", note=_FAILED))
    return rows, failed


def _stop(_signal: int, _frame: object) -> None:
    """SIGTERM unwinds like Ctrl-C, so that servers are stopped and folders removed."""
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    options = _arguments(argv)
    signal.signal(signal.SIGTERM, _stop)
    # A shell ignores SIGINT for background jobs, and children would inherit that: mockrec is stopped with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with TemporaryDirectory(prefix="mockrec-bench-", dir=options.work) as work:
        try:
            bench = _bench(options, Path(work))
        except BenchError as error:
            print(error, file=sys.stderr)
            return 2
        commit = machine.commit()
        rows, failed = _measure(bench, options.only)
        print(
            report.table([replace(row, target=None, note=row.note or "smoke") for row in rows] if bench.smoke else rows)
        )
        if options.write:
            done = [row for row in rows if row.note != _FAILED]
            content = report.document(done, machine.describe(bench), commit, machine.today(), report.read_earlier(DOCS))
            report.write(content, DOCS)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
