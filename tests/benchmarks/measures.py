"""The items that mock responses: HTTP/1.1, recorded and not, large bodies, many rules, two workers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import Bench, BenchError
from load import Work, drive
from more_servers import mockoon, mountebank
from rows import Row, Target
from rulefiles import PAYLOAD_BYTES
from servers import Server, Start, mitmdump, mockrec, mockttp
from turns import Rounds, Turn, compare, compare_cpu, metered, take_turns

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


def turn(bench: Bench, start: Start, work: Work) -> Turn:
    """One turn: start, warm up, measure, stop; the log must then have all exchanges."""
    with start() as server:
        result, count = metered(bench, server, lambda seconds: drive(bench, server.port, work, seconds=seconds))
        if server.name == "mockrec" and server.log is not None:
            # Checked after the stop, but before the log is removed with its folder.
            server.after_stop = partial(check_log, server, count, server.log)
    return result


def alternate(bench: Bench, sides: dict[str, Start], work: Work = _HELLO) -> tuple[Rounds, set[str]]:
    """Return the turns of each round, and the names of the sides that are not installed."""
    return take_turns(bench, sides, lambda start: turn(bench, start, work))


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
        "mountebank": partial(mountebank, bench),
        "Mockoon": partial(mockoon, bench),
        **plain,
    }
    rounds, missing = alternate(bench, sides)
    work = "HTTP/1.1 mock, keep-alive, against"
    rows = [
        compare("P1", f"{work} Mockttp recording", Target(4, True), rounds, ("mockrec", "Mockttp")),
        compare("P1", f"{work} mitmdump -w", Target(35, True), rounds, ("mockrec", "mitmdump")),
    ]
    more = {"mountebank": "mountebank that keeps requests", "Mockoon": "Mockoon that logs transactions"}
    beside = [
        compare("P1", f"{work} {text}", None, rounds, ("mockrec", name))
        for name, text in more.items()
        if name not in missing
    ]
    beside += [compare("P1", f"{work} Mockttp ({name})", None, rounds, (name, "Mockttp")) for name in plain]
    return rows + beside


def p2(bench: Bench) -> Sequence[Row]:
    """What recording costs: the same server with and without a log."""
    sides: dict[str, Start] = {
        "recording": partial(mockrec, bench),
        "not recording": partial(mockrec, bench, record=False),
    }
    rounds, _ = alternate(bench, sides)
    pair = ("recording", "not recording")
    return [compare("P2", "recording to a file against -o none", Target(0.8, True), rounds, pair)]


def p9(bench: Bench) -> Sequence[Row]:
    """Two workers on the machine's cores, which the load generator shares."""
    sides: dict[str, Start] = {
        "two workers": partial(mockrec, bench, "--workers", "2"),
        "one": partial(mockrec, bench),
    }
    rounds, _ = alternate(bench, sides)
    pair = ("two workers", "one")
    work = "--workers 2 against one process, recording"
    return [
        compare_cpu("P9", f"{work}, CPU time for an exchange", Target(1.1, False), rounds, pair),
        compare("P9", work, None, rounds, pair),
    ]


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
    row = compare("P8", work, Target(2, True), rounds, ("mockrec", "Mockttp"), megabytes)
    beside = [compare("P8", f"{work} ({n})", None, rounds, (n, "Mockttp"), megabytes) for n in plain]
    return [row, *beside]


def s2(bench: Bench) -> Sequence[Row]:
    """Whether many rules slow one of them down."""
    many = 50 if bench.smoke else 5000
    sides: dict[str, Start] = {
        "200 rules": partial(mockrec, bench, rules=200),
        f"{many:,} rules": partial(mockrec, bench, rules=many),
        "1 rule": partial(mockrec, bench),
    }
    rounds, _ = alternate(bench, sides)
    return [
        compare("S2", f"{name} against 1 rule", Target(bound, True), rounds, (name, "1 rule"))
        for name, bound in zip(list(sides)[:2], (0.95, 0.9), strict=True)
    ]
