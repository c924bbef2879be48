"""How far a process has come, in time and in processor time: what is promised of a program is promised while it gets to
run, and on a busy machine that is a part of the time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


def processor_seconds(pid: int) -> float:
    """What a process has used of the processors in all its threads; infinite once it is gone. Linux: its clock (see
    clock_getcpuclockid(3)) is the complement of its pid, shifted by three bits, 2 for all threads."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return math.inf


@dataclass(frozen=True)
class Moment:
    """A moment in the life of a process, in seconds of both kinds."""

    wall: float
    processor: float

    @classmethod
    def of(cls, pid: int) -> Moment:
        """Now."""
        return cls(time.monotonic(), processor_seconds(pid))

    def is_before(self, other: Moment, wall: float, processor: float) -> bool:
        """Whether `other` is later by so much of both."""
        return self.wall < other.wall - wall and self.processor < other.processor - processor


def let_run(pid: int, wall: float, processor: float, ended: Callable[[], bool] = lambda: False) -> None:
    """Wait until a process has had so much of both from now on, or has ended."""
    began = Moment.of(pid)
    while not ended() and not began.is_before(Moment.of(pid), wall, processor):
        time.sleep(0.002)
