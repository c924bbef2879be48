"""Measures a process from outside: its memory, its CPU time, and how long a command takes."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    children = " ".join([path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")])
    return [pid, *(one for child in children.split() for one in family(int(child)))]


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


@dataclass(frozen=True, order=True)
class Taken:
    """What one command took."""

    seconds: float
    cpu: float
    """User and system time of it and of its children that it waited for, in seconds."""
    memory: float
    """Megabytes at the peak."""


def measured(argv: Sequence[str | Path], *, code: int = 0) -> Taken:
    """Run a command that must end with an exit code; its output is dropped."""
    started = time.perf_counter()
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, **streams) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - started
    if process.returncode != code:
        raise BenchError(f"{' '.join(map(str, argv))} ended with {process.returncode}")
    return Taken(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def seconds_to_run(argv: Sequence[str | Path]) -> float:
    """Wall time of a command that must succeed."""
    return measured(argv).seconds
