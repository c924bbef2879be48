"""Turns: the compared programs run one after another, so that the drift of the machine affects all of them.

A round gives each side one turn; the result is the median of the ratios of the rounds. Each turn has a fresh process
and a fresh log, and rounds run forwards and backwards alternately, so that no side is always the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench import Bench, BenchError, PeerMissing
from load import Load
from process import cpu_seconds
from rows import Row, Target
from servers import Server, Start


@dataclass(frozen=True)
class Turn:
    """The result of one turn of one side."""

    rate: float
    """Requests (or messages, names, bytes) a second."""
    cpu: float
    """CPU time of all processes of the server, user and system, in µs for each of them."""


Rounds = list[dict[str, Turn]]
"""The turns of each round by the names of their sides."""


def metered(bench: Bench, server: Server, drive: Callable[[float], Load]) -> tuple[Turn, int]:
    """Warm up, then drive the server. Return the turn, and the number of requests with those of the warm-up.

    `drive` gets the number of seconds.
    """
    warm = drive(bench.warmup).requests if bench.warmup else 0
    before = cpu_seconds(server.pid)
    load = drive(bench.seconds)
    cpu = cpu_seconds(server.pid) - before
    return Turn(load.per_second, cpu / load.requests * 1e6), warm + load.requests


def take_turns(bench: Bench, sides: dict[str, Start], turn: Callable[[Start], Turn]) -> tuple[Rounds, set[str]]:
    """Return what `turn` gives for each side in each round, and the names of the sides that are not installed."""
    missing: set[str] = set()
    rounds: Rounds = []
    for number in range(bench.rounds):
        names = [name for name in sides if name not in missing]
        turns: dict[str, Turn] = {}
        for name in names if number % 2 == 0 else reversed(names):
            try:
                turns[name] = turn(sides[name])
            except PeerMissing:
                missing.add(name)
            except BenchError as error:
                raise BenchError(f"{name}: {error}") from None
        rounds.append(turns)
    return rounds, missing


def compare(
    item: str, work: str, target: Target | None, rounds: Rounds, pair: tuple[str, str], scale: float = 1
) -> Row:
    """Return the row for the rates of two sides; `scale` turns requests a second into MB/s if it is not 1."""
    both = _both(rounds, pair)
    if not both:
        return Row(item, work, target, note="peer not installed")
    unit = "req/s" if scale == 1 else "MB/s"
    left, right = ([turns[name].rate for turns in both] for name in pair)
    return Row(
        item,
        work,
        target,
        median(a / b for a, b in zip(left, right, strict=True)),
        f"{median(left) * scale:,.0f} {unit}",
        f"{median(right) * scale:,.0f} {unit}",
        runs=[{name: turns[name].rate * scale for name in pair} for turns in both],
        cpu=_cpu(both, pair),
    )


def compare_cpu(item: str, work: str, target: Target | None, rounds: Rounds, pair: tuple[str, str]) -> Row:
    """Return the row for the CPU time of two sides for one exchange."""
    both = _both(rounds, pair)
    if not both:
        return Row(item, work, target, note="peer not installed")
    left, right = pair
    value = median(turns[left].cpu / turns[right].cpu for turns in both)
    figures = [f"{median(turns[name].cpu for turns in both):,.1f} µs" for name in pair]
    return Row(item, work, target, value, *figures, runs=[{n: turns[n].cpu for n in pair} for turns in both])


def _both(rounds: Rounds, pair: Sequence[str]) -> Rounds:
    return [turns for turns in rounds if all(name in turns for name in pair)]


def _cpu(rounds: Rounds, pair: Sequence[str]) -> str:
    return " : ".join(f"{median(turns[name].cpu for turns in rounds):,.1f}" for name in pair)
