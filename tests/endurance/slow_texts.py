"""The search for slow texts: whatever is said to mockrec takes time in proportion to its length, and holds nobody up.

Each target gets texts of doubling size, in a process of its own, and its CPU time is measured. A finding is growth well
above linear over several doublings, or a hold that is too long for the event loop. `--hours` says how long to search;
`--smoke` looks at every target for a moment, and has to find a planted function that takes the square of the length.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import resource
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import IO, Any

from program import want
from slow_targets import Target, planted, targets
from slow_words import Pump, plain, random_pump

HOLD_SECONDS = 0.05
"""How long the event loop may be held."""
_SMOKE_HOLD = 0.2
"""The same in a short run, beside which other tests run."""
SMALLEST = 1024
STEEP = 1.5
"""Exponent of the growth from which on it is a finding: 1 is linear, 2 the square."""
_LEAST_SECONDS = 0.004
"""Times below this are noise."""
_TRIAL_SECONDS = 3.0
_BATCH = 25
_END = -1
"""Stands for the number of a text where there is none left."""
AREAS = ("matchers", "readers", "protocols", "redaction", "templates", "filters", "diff")
SMOKE_AREAS = ("matchers", "readers", "protocols", "filters", "diff", "redaction", "templates")


@dataclass(frozen=True, slots=True)
class Finding:
    """A text that is slow."""

    target: str
    area: str
    pump: Pump
    times: tuple[tuple[int, float], ...]
    """Bytes and seconds of CPU."""
    why: str

    def __str__(self) -> str:
        shown = ", ".join(f"{size / 1024:g} KiB {seconds * 1000:.0f} ms" for size, seconds in self.times[-4:])
        return f"{self.target} ({self.area}): {self.why}: {self.pump} ({shown})"


# ── one text ───────────────────────────────────────────────────────────────────────────────────────


def measure(target: Target, pump: Pump) -> Iterator[tuple[int, float]]:
    """Size and CPU time, the size doubling, until it is the longest or one takes as long as four holds."""
    size = min(SMALLEST, target.longest)
    while True:
        text = pump.text(size)
        seconds = min(_once(target, text) for _ in range(3 if size < target.longest else 2))
        yield size, seconds
        if size >= target.longest or seconds > 4 * HOLD_SECONDS:
            return
        size = min(size * 2, target.longest)


def _once(target: Target, text: str) -> float:
    started = time.process_time()
    try:
        target.call(text)
    except (ValueError, RecursionError):
        pass  # refused, which is an answer
    return time.process_time() - started


def judge(target: Target, pump: Pump, times: Sequence[tuple[int, float]], hold: float = HOLD_SECONDS) -> Finding | None:
    """What is wrong with these times, if anything is."""
    steps = [
        math.log(later[1] / earlier[1]) / math.log(later[0] / earlier[0])
        for earlier, later in pairwise(times)
        if later[1] >= _LEAST_SECONDS and earlier[1] >= _LEAST_SECONDS / 4 and later[0] > earlier[0]
    ][-4:]
    # Several doublings, the middle one as well as their mean: one slow moment of the machine makes no square.
    lasts = times[-1][1] > HOLD_SECONDS / 2  # what is short to the end is no hold, however it grows
    if lasts and len(steps) >= 3 and min(statistics.median_low(steps), statistics.fmean(steps)) >= STEEP:
        return Finding(
            target.name, target.area, pump, tuple(times), f"grows with the power {statistics.median(steps):.1f}"
        )
    seconds = times[-1][1]
    if target.on_loop and seconds > hold:
        return Finding(target.name, target.area, pump, tuple(times), f"holds the loop for {seconds * 1000:.0f} ms")
    return None


# ── many texts, in another process ─────────────────────────────────────────────────────────────────


def search_batch(target: Target, pumps: Sequence[Pump], hold: float = HOLD_SECONDS) -> Iterator[Finding]:
    """Findings among these texts. One that does not end is one too, and ends its process."""
    position = 0
    while position < len(pumps):
        current, ended = -1, False
        times: list[tuple[int, float]] = []
        for message in _measured_elsewhere(target, pumps[position:], hold):
            if isinstance(message, Finding):
                yield message
            elif isinstance(message, tuple):
                times.append(message)
            else:
                current, times, ended = message, [], message == _END
        if ended:
            return
        want(current >= 0, f"{target.name} cannot be called")
        pump = pumps[position + current]
        yield Finding(target.name, target.area, pump, tuple(times), f"takes more than {_TRIAL_SECONDS:g} s")
        position += current + 1


def _measured_elsewhere(target: Target, pumps: Sequence[Pump], hold: float) -> Iterator[Any]:
    """The number of each text as it begins, its times, and what is found, from a process that may end any time."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            _work(target, pumps, hold, pipe)
        os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            while True:
                try:
                    yield pickle.load(pipe)
                except EOFError:
                    return
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _work(target: Target, pumps: Sequence[Pump], hold: float, pipe: IO[bytes]) -> None:
    gc.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)  # RE2 complains of memory there
    signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def say(message: object) -> None:
        pipe.write(pickle.dumps(message))
        pipe.flush()

    target.call("a")  # what is made once counts for none
    for number, pump in enumerate(pumps):
        say(number)
        signal.setitimer(signal.ITIMER_PROF, _TRIAL_SECONDS)
        times = []
        for one in measure(target, pump):
            times.append(one)
            say(one)
            signal.setitimer(signal.ITIMER_PROF, _TRIAL_SECONDS)
        finding = judge(target, pump, times, hold)
        if finding is not None:
            times = list(measure(target, pump))  # twice is no accident
            again = judge(target, pump, times, hold)
            if again is not None:
                say(again)
        gc.collect()
    signal.setitimer(signal.ITIMER_PROF, 0)
    say(_END)


# ── the part ───────────────────────────────────────────────────────────────────────────────────────


def slow_texts(
    folder: Path, *, smoke: bool, hours: float = 1.0, log: Path | None = None, areas: Sequence[str] = ()
) -> str:
    """Search for so long, in these areas or all; how many texts were tried. Raises Failed with what was found."""
    chance = Random(1 if smoke else None)
    file = (log or folder / "slow-texts.log").open("a", encoding="utf-8", buffering=1)
    with file:
        trap = planted()
        caught = list(search_batch(trap, [Pump("", "a", ""), Pump("", "Bearer ", "!"), Pump("", "b", "")]))
        want([one.pump.unit for one in caught] == ["Bearer "], f"the planted function was not found: {caught}")
        found: dict[tuple[str, str], Finding] = {}
        tried = 0
        for target, pumps in _work_list(
            chance, areas or (SMOKE_AREAS if smoke else AREAS), smoke=smoke, seconds=hours * 3600
        ):
            tried += len(pumps)
            for finding in search_batch(target, pumps, _SMOKE_HOLD if smoke else HOLD_SECONDS):
                key = finding.target, finding.why.split(" ")[0]
                if key not in found:
                    print(f"  {finding}", file=sys.stderr, flush=True)
                found.setdefault(key, finding)
                file.write(f"{finding}\n")
        file.write(f"{tried} texts, {len(found)} kinds of findings\n")
        want(not found, f"{len(found)} slow of {tried} texts:\n" + "\n".join(map(str, found.values())))
    return f"{tried} texts, none of them slow"


def _work_list(
    chance: Random, areas: Sequence[str], *, smoke: bool, seconds: float
) -> Iterator[tuple[Target, Sequence[Pump]]]:
    everything = [target for target in targets() if target.area in areas]
    if smoke:
        for target in everything:
            yield target, [random_pump(target.vocabulary, chance)]
        return
    ends = time.monotonic() + seconds
    for target in everything:
        pumps = list(plain(target.vocabulary))
        for start in range(0, len(pumps), _BATCH):
            if time.monotonic() > ends:
                return
            yield target, pumps[start : start + _BATCH]
    while time.monotonic() < ends:
        for target in everything:
            yield target, [random_pump(target.vocabulary, chance) for _ in range(_BATCH)]
