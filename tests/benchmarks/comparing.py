"""F3: `mockrec diff` of two sessions, its time and memory, and how both grow with the sessions."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sessions
from bench import Bench, BenchError
from rows import Row, Target

_CHANGED = 0.01


def f3(bench: Bench) -> Sequence[Row]:
    """Sessions of 100,000 exchanges, then of twice as many."""
    count = 200 if bench.smoke else 100_000
    with bench.scratch() as folder:
        one, two = _median(bench, folder, count), _median(bench, folder, 2 * count)
    work = f"diff of two sessions of {count:,} exchanges"
    return [
        Row("F3", work, Target(4.0, at_least=False), one.seconds, f"{one.seconds:.2f} s", unit="s"),
        Row("F3", f"{work}, peak memory", Target(300.0, at_least=False), one.memory, f"{one.memory:.0f} MB", unit="MB"),
        Row(
            "F3",
            f"diff of {2 * count:,}, CPU time against twice that of {count:,}",
            Target(1.25, at_least=False),
            two.cpu / (2 * one.cpu),
            f"{two.cpu:.2f} s, {two.memory:.0f} MB",
            f"2 × {one.cpu:.2f} s",
        ),
    ]


@dataclass(frozen=True, order=True)
class _Taken:
    """What one comparison took."""

    seconds: float
    cpu: float
    memory: float
    """Megabytes at the peak."""


def _median(bench: Bench, folder: Path, count: int) -> _Taken:
    a = sessions.write(folder / f"a-{count}.jsonl", count, run=1)
    b = sessions.write(folder / f"b-{count}.jsonl", count, run=2, changed=_CHANGED)
    runs = [_diff(bench, a, b) for _ in range(bench.rounds)]
    a.unlink()
    b.unlink()
    return _Taken(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu", "memory")))


def _diff(bench: Bench, a: Path, b: Path) -> _Taken:
    started = time.perf_counter()
    with subprocess.Popen([bench.mockrec, "diff", a, b, "--as", "junit"], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 1:  # one answer in a hundred is another one
        raise BenchError(f"mockrec diff ended with {process.returncode}")
    return _Taken(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
