"""F3: `mockrec diff` of two sessions, its time and memory, and how both grow with the sessions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import sessions
from bench import Bench
from process import Taken, measured
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


def _median(bench: Bench, folder: Path, count: int) -> Taken:
    a = sessions.write(folder / f"a-{count}.jsonl", count, run=1)
    b = sessions.write(folder / f"b-{count}.jsonl", count, run=2, changed=_CHANGED)
    argv = [bench.mockrec, "diff", a, b, "--as", "junit"]
    runs = [measured(argv, code=1) for _ in range(bench.rounds)]  # one response in a hundred differs
    a.unlink()
    b.unlink()
    return Taken(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu", "memory")))
