"""Throughput: each item drives two kinds of server turn by turn and compares their rates.

Machines drift from minute to minute, so a round measures all sides one after another and gives a
ratio; the median of the ratios is the result. Every turn has a fresh process and a fresh log, and
rounds go forwards and backwards in turn, so that no side always comes first.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench import Bench, BenchError, PeerMissing
from load import Load, Work, drive
from rows import Row, Target
from rulefiles import PAYLOAD_BYTES
from servers import Server, Start, mitmdump, mockrec, mockttp

Rates = list[dict[str, float]]
_HELLO = Work()


def check_log(server: Server, answered: int, log: Path, kind: str = "response") -> None:
    """A recording that lacks exchanges is no recording: the last record counts what was written."""
    with log.open("rb") as file:
        file.seek(max(0, os.path.getsize(log) - 1_000_000))
        last = json.loads(file.read().splitlines()[-1])
    if last.get("type") != "session-ended":
        raise BenchError(f"{server.name}: the log has no session-ended")
    written = last.get("counts", {}).get(kind, 0)
    if written < answered:
        raise BenchError(f"{server.name}: {answered} answers, but {written} {kind} records")


def _turn(bench: Bench, start: Start, work: Work) -> float:
    """One turn: start, warm up, measure, stop; returns requests a second."""
    done: list[Load] = []
    with start() as server:
        if bench.warmup:
            done.append(drive(bench, server.port, work, seconds=bench.warmup))
        done.append(drive(bench, server.port, work, seconds=bench.seconds))
        if server.name == "mockrec" and server.log is not None:
            # Checked after the stop, but before the log is removed with its folder.
            server.after_stop = partial(check_log, server, sum(load.requests for load in done), server.log)
    return done[-1].per_second


def alternate(bench: Bench, sides: dict[str, Start], work: Work = _HELLO) -> tuple[Rates, set[str]]:
    """The rates of each round, and the names of the sides that are not installed."""
    return take_turns(bench, sides, lambda start: _turn(bench, start, work))


def take_turns(bench: Bench, sides: dict[str, Start], turn: Callable[[Start], float]) -> tuple[Rates, set[str]]:
    """The rates that `turn` gives for each side, in each round."""
    missing: set[str] = set()
    rounds: Rates = []
    for number in range(bench.rounds):
        names = [name for name in sides if name not in missing]
        rates: dict[str, float] = {}
        for name in names if number % 2 == 0 else reversed(names):
            try:
                rates[name] = turn(sides[name])
            except PeerMissing:
                missing.add(name)
        rounds.append(rates)
    return rounds, missing


def compare(item: str, work: str, target: Target | None, rounds: Rates, pair: tuple[str, str], scale: float = 1) -> Row:
    """The row for one pair of sides; `scale` turns requests a second into MB/s where it is not 1."""
    left, right = pair
    both = [rates for rates in rounds if left in rates and right in rates]
    if not both:
        return Row(item, work, target, note="peer not installed")
    unit = "req/s" if scale == 1 else "MB/s"
    return Row(
        item,
        work,
        target,
        median(rates[left] / rates[right] for rates in both),
        f"{median(rates[left] for rates in both) * scale:,.0f} {unit}",
        f"{median(rates[right] for rates in both) * scale:,.0f} {unit}",
        runs=[{name: rates[name] * scale for name in pair} for rates in both],
    )


def _plain_side(bench: Bench, *, upload: bool = False) -> dict[str, Start]:
    """mockrec without redaction, to stand beside the defaults; a version that has no --redact has no side."""
    said = subprocess.run([bench.mockrec, "run", "--help"], capture_output=True, text=True, check=False)
    if "--redact" not in said.stdout or bench.smoke:
        return {}
    return {"redact none": partial(mockrec, bench, "--redact", "none", upload=upload)}


def p1(bench: Bench) -> Sequence[Row]:
    """HTTP/1.1 keep-alive, recorded, against both peers."""
    plain = _plain_side(bench)
    sides: dict[str, Start] = {
        "mockrec": partial(mockrec, bench),
        "Mockttp": partial(mockttp, bench),
        "mitmdump": partial(mitmdump, bench),
        **plain,
    }
    rounds, _ = alternate(bench, sides)
    work = "HTTP/1.1 mock, keep-alive, against"
    rows = [
        compare("P1", f"{work} Mockttp recording", Target(1.3, True), rounds, ("mockrec", "Mockttp")),
        compare("P1", f"{work} mitmdump -w", Target(12, True), rounds, ("mockrec", "mitmdump")),
    ]
    beside = [compare("P1", f"{work} Mockttp ({name})", None, rounds, (name, "Mockttp")) for name in plain]
    return rows + beside


def p2(bench: Bench) -> Sequence[Row]:
    """What recording costs: the same server with and without a log."""
    sides: dict[str, Start] = {
        "recording": partial(mockrec, bench),
        "not recording": partial(mockrec, bench, record=False),
    }
    rounds, _ = alternate(bench, sides)
    pair = ("recording", "not recording")
    return [compare("P2", "recording to a file against -o none", Target(0.75, True), rounds, pair)]


def p9(bench: Bench) -> Sequence[Row]:
    """Two workers on the machine's cores, which the load generator shares."""
    sides: dict[str, Start] = {
        "two workers": partial(mockrec, bench, "--workers", "2"),
        "one": partial(mockrec, bench),
    }
    rounds, _ = alternate(bench, sides)
    pair = ("two workers", "one")
    return [compare("P9", "--workers 2 against one process, recording", Target(1.5, True), rounds, pair)]


def p8(bench: Bench) -> Sequence[Row]:
    """Big bodies both ways, in bytes rather than requests."""
    plain = _plain_side(bench, upload=True)
    sides: dict[str, Start] = {
        "mockrec": partial(mockrec, bench, upload=True),
        "Mockttp": partial(mockttp, bench, upload=True),
        **plain,
    }
    rounds, _ = alternate(bench, sides, Work(upload=True))
    megabytes = 2 * PAYLOAD_BYTES / 1e6
    work = "100 KiB bodies both ways, against Mockttp recording"
    row = compare("P8", work, Target(1.0, True), rounds, ("mockrec", "Mockttp"), megabytes)
    beside = [compare("P8", f"{work} ({n})", None, rounds, (n, "Mockttp"), megabytes) for n in plain]
    return [row, *beside]


def s2(bench: Bench) -> Sequence[Row]:
    """Whether many rules slow one of them down."""
    sides: dict[str, Start] = {
        "200 rules": partial(mockrec, bench, rules=200),
        "1 rule": partial(mockrec, bench),
    }
    rounds, _ = alternate(bench, sides)
    return [compare("S2", "200 rules against 1 rule", Target(0.9, True), rounds, ("200 rules", "1 rule"))]
