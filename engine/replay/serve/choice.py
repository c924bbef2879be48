"""Which of the recordings of one request answers it: the best variant, and of that the next one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from mockrec.engine.replay.serve.index import Index
from mockrec.engine.replay.serve.loader import RecordedExchange
from mockrec.engine.replay.serve.nearest import distance
from mockrec.engine.replay.serve.variants import Difference, Variant, VariantVerdict, judge, range_digest

_MOST_VARIANTS: Final = 1000
"""Variants of one request that are judged, unless its fields name one. A thousand take some 15 ms."""
_MOST_NEAR: Final = 20
"""Variants that are looked at for what is nearest to a miss."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a request decides between recordings of it."""

    method: str
    fields: Mapping[str, str]
    host: str | None
    """None: any."""
    deciding: frozenset[int] = frozenset({0})
    """The digests of what it says in fields by which servers told requests apart."""


@dataclass(slots=True, eq=False)
class _Same:
    """Recordings of one variant, in the order of the session."""

    variant: Variant
    places: array[int]
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

    def __init__(self, places: Sequence[int], index: Index, read: Callable[[int], RecordedExchange]) -> None:
        """`read` gives the recording at a place. Nothing is read before it is looked for."""
        self._numbers = index.numbers
        self._read = read
        self._variants = index.variants
        self._groups: dict[int, array[int]] = {}
        """By the values of the deciding fields: places, in the order of the session."""
        self._parts: dict[tuple[int, int], array[int]] = {}
        """Of those, the ones that are parts, by their ranges."""
        self._known: dict[int | tuple[int, int], list[_Same]] = {}
        deciding, groups, parts = index.deciding, self._groups, index.parts
        for place in places:
            if parts[place]:
                self._parts.setdefault((deciding[place], parts[place]), array("I")).append(place)
            group = groups.get(deciding[place])
            if group is None:
                groups[deciding[place]] = array("I", (place,))
            else:
                group.append(place)

    def _group(self, key: int) -> list[_Same]:
        """The variants of a group."""
        return self._variants_of(key, self._groups[key])

    def _part(self, key: tuple[int, int]) -> list[_Same]:
        """The variants of parts of a group and a range."""
        return self._variants_of(key, self._parts[key]) if key in self._parts else []

    def _variants_of(self, key: int | tuple[int, int], places: array[int]) -> list[_Same]:
        known = self._known.get(key)
        if known is None:
            known = [_Same(self._read(same[0]).variant, same) for same in self._by_variant(places)]
            self._known[key] = known
        return known

    def _by_variant(self, places: array[int]) -> Iterable[array[int]]:
        found: dict[int, array[int]] = {}
        for place in places:
            same = found.get(self._variants[place])
            if same is not None:
                same.append(place)
            elif len(found) < _MOST_VARIANTS:
                found[self._variants[place]] = array("I", (place,))
        return found.values()

    def judged(self, wanted: Wanted) -> Iterator[tuple[_Same, VariantVerdict]]:
        """The variants that can answer, each with what it is for the request."""
        for key in self._groups.keys() & wanted.deciding:
            asked = range_digest(wanted.fields.get("range", ""))
            exact = [*_possible(self._part((key, asked)), wanted)] if asked else []
            yield from exact or _possible(self._group(key), wanted)

    @staticmethod
    def choose(tracks: Sequence[Track], wanted: Wanted, used: array[int], *, repeat: bool) -> Choice | None:
        """The recording that answers now; None: there is none, or none is left and none is repeated."""
        ranked: dict[tuple[float, ...], list[tuple[_Same, VariantVerdict]]] = {}
        numbers: array[int] = array("I")
        for track in tracks:
            numbers = track._numbers
            for same, verdict in track.judged(wanted):
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
        reasons: list[Difference] = []
        nearest: _Same | None = None
        for track in tracks:
            own = track._groups.keys() & wanted.deciding
            for key in [*own, *islice((key for key in track._groups if key not in own), _MOST_NEAR)]:
                for same in islice(track._group(key), _MOST_NEAR):
                    found = judge(same.variant, wanted.method, wanted.fields, wanted.host).reasons
                    if nearest is None or distance(found) < distance(reasons):
                        nearest, reasons = same, found
        assert nearest is not None
        return nearest.places[-1], reasons


def _possible(variants: Iterable[_Same], wanted: Wanted) -> Iterator[tuple[_Same, VariantVerdict]]:
    for same in variants:
        verdict = judge(same.variant, wanted.method, wanted.fields, wanted.host)
        if not verdict.reasons:
            yield same, verdict


def _guess(verdict: VariantVerdict, equal: Sequence[tuple[_Same, VariantVerdict]]) -> str:
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
