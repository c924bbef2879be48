"""Select the recording that serves a request: the best variant, and the next unused recording of that variant."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from mockrec.engine.replay.serve.index import Index
from mockrec.engine.replay.serve.loader import RecordedExchange
from mockrec.engine.replay.serve.nearest import distance
from mockrec.engine.replay.serve.variants import Variant, VariantDifference, VariantVerdict, judge, range_digest

_MOST_VARIANTS: Final = 1000
"""At most this many variants of one request are judged in one group. A thousand take some 15 ms."""
_MOST_NEAR: Final = 20
"""At most this many further groups, and variants of each group, are compared to find the nearest to a miss."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties of a request that decide between its recordings."""

    method: str
    fields: Mapping[str, str]
    host: str | None
    """None: any host."""
    deciding: frozenset[int] = frozenset({0})
    """Digests of the request's values in the header fields that selected a response (`Vary`), one for each recorded set
    of such fields; 0 is the group of recordings that are compared one by one."""


@dataclass(slots=True, eq=False)
class _VariantRecordings:
    """Recordings of one variant, in session order."""

    variant: Variant
    places: array[int]
    next: int = 0
    """Index into `places`: all recordings before it have been used."""

    def next_unused(self, used: array[int]) -> int | None:
        """Return the first place that has not been served yet, or None."""
        while self.next < len(self.places) and used[self.places[self.next]]:
            self.next += 1
        return self.places[self.next] if self.next < len(self.places) else None


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected recording."""

    place: int
    guess: str
    """Why another recording might be the right one; empty if the choice is certain."""


class Track:
    """The recordings of one request, grouped by the fields that decide between them and by variant."""

    def __init__(self, places: Sequence[int], index: Index, read: Callable[[int], RecordedExchange]) -> None:
        """`read` returns the recording at a place; it is called only when the recording's variant is needed."""
        self._numbers = index.numbers
        self._read = read
        self._variants = index.variants
        self._groups: dict[int, array[int]] = {}
        """Digest of the deciding fields → places, in session order."""
        self._parts: dict[tuple[int, int], array[int]] = {}
        """Digests of the deciding fields and of the range → places of partial responses (206)."""
        self._cache: dict[int | tuple[int, int], list[_VariantRecordings]] = {}
        deciding, groups, parts = index.deciding, self._groups, index.parts
        for place in places:
            if parts[place]:
                self._parts.setdefault((deciding[place], parts[place]), array("I")).append(place)
            group = groups.get(deciding[place])
            if group is None:
                groups[deciding[place]] = array("I", (place,))
            else:
                group.append(place)

    def _group(self, key: int) -> list[_VariantRecordings]:
        """Return the variants of a group."""
        return self._variants_of(key, self._groups[key])

    def _part(self, key: tuple[int, int]) -> list[_VariantRecordings]:
        """Return the variants of a group's partial responses to one range."""
        return self._variants_of(key, self._parts[key]) if key in self._parts else []

    def _variants_of(self, key: int | tuple[int, int], places: array[int]) -> list[_VariantRecordings]:
        cached = self._cache.get(key)
        if cached is None:
            cached = [
                _VariantRecordings(self._read(recordings[0]).variant, recordings)
                for recordings in self._by_variant(places)
            ]
            self._cache[key] = cached
        return cached

    def _by_variant(self, places: array[int]) -> Iterable[array[int]]:
        found: dict[int, array[int]] = {}
        for place in places:
            recordings = found.get(self._variants[place])
            if recordings is not None:
                recordings.append(place)
            elif len(found) < _MOST_VARIANTS:
                found[self._variants[place]] = array("I", (place,))
        return found.values()

    def judged(self, wanted: Wanted) -> Iterator[tuple[_VariantRecordings, VariantVerdict]]:
        """Yield the variants that can answer the request, each with its verdict."""
        for key in self._groups.keys() & wanted.deciding:
            range_key = range_digest(wanted.fields.get("range", ""))
            exact = [*_possible(self._part((key, range_key)), wanted)] if range_key else []
            yield from exact or _possible(self._group(key), wanted)

    @staticmethod
    def choose(tracks: Sequence[Track], wanted: Wanted, used: array[int], *, repeat: bool) -> Choice | None:
        """Select the recording to serve now. None if no variant fits, or all that fit are used and `repeat` is off."""
        ranked: dict[tuple[float, ...], list[tuple[_VariantRecordings, VariantVerdict]]] = {}
        numbers: array[int] = array("I")
        for track in tracks:
            numbers = track._numbers
            for recordings, verdict in track.judged(wanted):
                ranked.setdefault(verdict.rank, []).append((recordings, verdict))
        order = sorted(ranked, reverse=True)
        for rank in order[:1] if repeat else order:
            unused = [
                (place, verdict)
                for recordings, verdict in ranked[rank]
                if (place := recordings.next_unused(used)) is not None
            ]
            if unused:
                place, verdict = min(unused, key=lambda one: numbers[one[0]])
                return Choice(place, _guess(verdict, ranked[rank]))
        if repeat and order:
            last = [(recordings.places[-1], verdict) for recordings, verdict in ranked[order[0]]]
            place, verdict = max(last, key=lambda one: numbers[one[0]])
            return Choice(place, _guess(verdict, ranked[order[0]]))
        return None

    @staticmethod
    def nearest(tracks: Sequence[Track], wanted: Wanted) -> tuple[int, list[VariantDifference]]:
        """Return the place of the recording nearest to an unmatched request, and the fields that differ."""
        reasons: list[VariantDifference] = []
        nearest: _VariantRecordings | None = None
        for track in tracks:
            own = track._groups.keys() & wanted.deciding
            for key in [*own, *islice((key for key in track._groups if key not in own), _MOST_NEAR)]:
                for recordings in islice(track._group(key), _MOST_NEAR):
                    found = judge(recordings.variant, wanted.method, wanted.fields, wanted.host).reasons
                    if nearest is None or distance(found) < distance(reasons):
                        nearest, reasons = recordings, found
        assert nearest is not None
        return nearest.places[-1], reasons


def _possible(
    variants: Iterable[_VariantRecordings], wanted: Wanted
) -> Iterator[tuple[_VariantRecordings, VariantVerdict]]:
    for recordings in variants:
        verdict = judge(recordings.variant, wanted.method, wanted.fields, wanted.host)
        if not verdict.reasons:
            yield recordings, verdict


def _guess(verdict: VariantVerdict, equal: Sequence[tuple[_VariantRecordings, VariantVerdict]]) -> str:
    """Explain why the choice is a guess; empty if it is certain.

    It is a guess if the client does not accept the response's type, or if variants of the same rank (`equal`) were
    recorded for other values of a field.
    """
    if verdict.refused:
        return f"no recorded answer is of a type that its {verdict.refused} takes"
    variants = [recordings.variant for recordings, _ in equal]
    if len(variants) < 2:
        return ""
    for name in sorted(verdict.unlike):
        if len({variant.fields.get(name) for variant in variants}) > 1 and _may_differ(name, variants):
            return f"the recorded answers are for other values of {name}"
    return ""


def _may_differ(name: str, variants: Sequence[Variant]) -> bool:
    """Return whether the variants' responses may differ by this field: by `Accept` only if their types differ."""
    if name == "accept":
        return len({variant.kind for variant in variants if variant.kind}) > 1
    return True
