"""Measures a process from outside: its memory, its CPU time, and how long a command takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench import BenchError


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants: workers would otherwise hide what they use."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError as error:
        raise BenchError(f"cannot read the memory of process {pid}: {error}") from error
    own = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
    return own + sum(rss_bytes(int(child)) for child in " ".join(children).split())


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its living descendants, and of descendants that have ended and were waited
    for. The kernel counts it in ticks of 10 ms (proc(5), `stat`, fields 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError as error:
        raise BenchError(f"cannot read the CPU time of process {pid}: {error}") from error
    own = sum(int(fields[at]) for at in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in " ".join(children).split())


def wait_until_written(log: Path, *, quiet: float = 0.3, limit: float = 60.0) -> None:
    """Returns when the log has stopped growing: what waits to be written is not what a server keeps.

    Polling is the point here: a file that stands still has no event to wait for.
    """
    deadline = time.monotonic() + limit
    size, since = -1, time.monotonic()
    while time.monotonic() - since < quiet:
        if time.monotonic() > deadline:
            raise BenchError(f"{log.name} still grows {limit:.0f} s after the load ended")
        if (now := log.stat().st_size) != size:
            size, since = now, time.monotonic()
        time.sleep(0.02)


def seconds_to_run(argv: Sequence[str | Path]) -> float:
    """Wall time of a command that must succeed."""
    started = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, argv))} ended with {done.returncode}")
    return taken
