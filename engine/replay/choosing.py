"""Which of the recordings of one request answers it: the best variant, and of that the next one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mockrec.engine.replay.index import Index
from mockrec.engine.replay.nearest import distance
from mockrec.engine.replay.tape import Recording
from mockrec.engine.replay.variants import Difference, Variant, Verdict, judge

_MOST_VARIANTS: Final = 2000
"""Variants of one request that are judged: of a film that was read in more pieces, the first ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a request decides between recordings of it."""

    method: str
    fields: Mapping[str, str]
    host: str | None
    """None: any."""


@dataclass(slots=True, eq=False)
class _Same:
    """Recordings of one variant, in the order of the session."""

    variant: Variant
    places: array[int] = field(default_factory=lambda: array("I"))
    next: int = 0
    """How many from the beginning have been used."""

    def fresh(self, used: array[int]) -> int | None:
        """The first place that has not answered yet."""
        while self.next < len(self.places) and used[self.places[self.next]]:
            self.next += 1
        return self.places[self.next] if self.next < len(self.places) else None


@dataclass(frozen=True, slots=True)
class Choice:
    """The recording that answers."""

    place: int
    guess: str
    """Why it might be the wrong one; empty: it is not known to be."""


class Track:
    """Recordings of the same request."""

    def __init__(self, places: Sequence[int], index: Index, read: Callable[[int], Recording]) -> None:
        """`read` gives the recording at a place."""
        self._numbers = index.numbers
        self._variants: list[_Same] = []
        known: dict[int, _Same | None] = {}
        for place in places:
            digest = index.variants[place]
            if digest not in known:
                known[digest] = _Same(read(place).variant) if len(self._variants) < _MOST_VARIANTS else None
                if (new := known[digest]) is not None:
                    self._variants.append(new)
            if (same := known[digest]) is not None:
                same.places.append(place)

    @staticmethod
    def choose(tracks: Sequence[Track], wanted: Wanted, used: array[int], *, repeat: bool) -> Choice | None:
        """The recording that answers now; None: there is none, or none is left and none is repeated."""
        ranked: dict[tuple[float, ...], list[tuple[_Same, Verdict]]] = {}
        numbers: array[int] = array("I")
        for track in tracks:
            numbers = track._numbers
            for same in track._variants:
                verdict = judge(same.variant, wanted.method, wanted.fields, wanted.host)
                if not verdict.reasons:
                    ranked.setdefault(verdict.rank, []).append((same, verdict))
        order = sorted(ranked, reverse=True)
        for rank in order[:1] if repeat else order:
            fresh = [(place, verdict) for same, verdict in ranked[rank] if (place := same.fresh(used)) is not None]
            if fresh:
                place, verdict = min(fresh, key=lambda one: numbers[one[0]])
                return Choice(place, _guess(verdict, ranked[rank]))
        if repeat and order:
            last = [(same.places[-1], verdict) for same, verdict in ranked[order[0]]]
            place, verdict = max(last, key=lambda one: numbers[one[0]])
            return Choice(place, _guess(verdict, ranked[order[0]]))
        return None

    @staticmethod
    def nearest(tracks: Sequence[Track], wanted: Wanted) -> tuple[int, list[Difference]]:
        """Where the recording is that comes nearest to a request that none answers, and the fields that differ."""
        judged = [
            (judge(same.variant, wanted.method, wanted.fields, wanted.host).reasons, same)
            for track in tracks
            for same in track._variants
        ]
        reasons, same = min(judged, key=lambda one: distance(one[0]))
        return same.places[-1], reasons


def _guess(verdict: Verdict, equal: Sequence[tuple[_Same, Verdict]]) -> str:
    """Whether the client takes no such answer, or others are as good for it that are for other values of a field.

    `equal` are the variants of the same rank.
    """
    if verdict.refused:
        return f"no recorded answer is of a type that its {verdict.refused} takes"
    variants = [same.variant for same, _ in equal]
    if len(variants) < 2:
        return ""
    for name in sorted(verdict.unlike):
        if len({variant.fields.get(name) for variant in variants}) > 1 and _tells_apart(name, variants):
            return f"the recorded answers are for other values of {name}"
    return ""


def _tells_apart(name: str, variants: Sequence[Variant]) -> bool:
    """Whether answers for several values of a field may be different ones."""
    if name == "accept":
        return len({variant.kind for variant in variants if variant.kind}) > 1
    return True
