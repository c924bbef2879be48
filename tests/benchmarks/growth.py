"""G1: how the CPU time of an exchange grows with connections, rules, body size, header fields and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench import Bench
from idle import allow_files
from load import Work
from measures import turn
from rows import Row
from servers import Start, mockrec
from turns import take_turns

CURVES: dict[str, tuple[int, ...]] = {
    "connections": (1, 16, 100, 1000, 5000),
    "rules": (1, 10, 100, 1000, 5000),
    "bytes of body": (0, 1_000, 100_000, 1_000_000, 10_000_000),
    "header fields": (0, 5, 20, 50, 100),
    "workers": (1, 2, 4),
}
"""What grows → its sizes."""


@dataclass(frozen=True)
class _Point:
    start: Start
    work: Work


def g1(bench: Bench) -> Sequence[Row]:
    """One row for each curve; the result is the cost at its largest size against that at its smallest."""
    curves = {name: (sizes[0], sizes[1]) if bench.smoke else sizes for name, sizes in CURVES.items()}
    allow_files(max(curves["connections"]) * 2)
    rows = []
    for name, sizes in curves.items():
        points = {f"{size:,}": _point(bench, name, size) for size in sizes}
        works = {id(point.start): point.work for point in points.values()}
        sides = {label: point.start for label, point in points.items()}
        rounds, _ = take_turns(bench, sides, lambda start, works=works: turn(bench, start, works[id(start)]))  # type: ignore[misc]
        costs = {label: sorted(turns[label].cpu for turns in rounds)[len(rounds) // 2] for label in points}
        labels = list(costs)
        rows.append(
            Row(
                "G1",
                f"CPU time of an exchange by {name}, {labels[-1]} against {labels[0]}",
                None,
                costs[labels[-1]] / costs[labels[0]],
                ", ".join(f"{label}: {cost:,.1f}" for label, cost in costs.items()) + " µs",
                runs=[{label: turns[label].cpu for label in points} for turns in rounds],
            )
        )
    return rows


def _point(bench: Bench, name: str, size: int) -> _Point:
    match name:
        case "connections":
            return _Point(partial(mockrec, bench), Work(connections=size))
        case "rules":
            return _Point(partial(mockrec, bench, rules=size), Work())
        case "bytes of body":
            return _Point(partial(mockrec, bench, body="x" * size), Work())
        case "header fields":
            return _Point(partial(mockrec, bench), Work(fields=size))
        case _:
            return _Point(partial(mockrec, bench, "--workers", str(size)), Work())
