"""A recorded session that is served: select the recording for a request, and the nearest one to a miss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from mockrec.engine.bounded_cache import remember
from mockrec.engine.replay.serve.choice import Track, Wanted
from mockrec.engine.replay.serve.loader import RecordedExchange, Tape, bucket, hash_of
from mockrec.engine.replay.serve.nearest import distance
from mockrec.engine.replay.serve.redacted_facts import blanked
from mockrec.engine.replay.serve.store import Spot
from mockrec.engine.replay.serve.variants import VariantDifference, decided, judge, request_fields
from mockrec.engine.replay.session.fingerprint import MatchKey, MatchOptions, differences, match_key_of
from mockrec.engine.replay.session.volatile import loosened
from mockrec.engine.rules.matching.request import RequestView

_MOST_MISSES = 1000
_MOST_TRACKS = 1000
"""Tracks that are cached, so that their recordings are not read from the store again."""
_MOST_LAYOUTS = 5000
"""At most this many layouts of redaction marks are tried for one request."""
_READ_FOR_MISS = 256 * 1024
"""Bytes of recorded requests that are read to explain one miss."""


@dataclass(slots=True)
class Miss:
    """The result for a request without a matching recording."""

    nearest: RecordedExchange | None = None
    """None: the session holds no recording that can be served."""
    differs: list[VariantDifference] = field(default_factory=list)
    """The differences between the nearest recording and the request."""
    used_up: bool = False
    """Whether recordings match, but all are used and none is repeated."""


@dataclass(slots=True)
class LooseMatch:
    """How the last matched recording differs from its request."""

    ignored: tuple[str, ...] = ()
    """Places with volatile values, which were ignored."""
    guess: str = ""
    """Why another recording might have been the right one."""


class Cassette:
    """The recordings of a session. Raises SessionError."""

    def __init__(self, path: str, match: MatchOptions, *, repeat: bool = True) -> None:
        """`repeat`: when all recordings of a request are used, the last one is served again."""
        self.path = path
        self.match = match
        self.misses: Counter[str] = Counter()
        """Requests without a matching recording, and mismatched WebSocket messages → how often."""
        self.remedies: Counter[str] = Counter()
        """Options with which missed requests would have matched → how many of them."""
        self.missed = 0
        self.ignored: Counter[str] = Counter()
        """Places whose volatile values were ignored → in how many requests."""
        self.guesses: Counter[str] = Counter()
        """Requests for which another recording might have been the right one, and why → how often."""
        self.changed: Counter[str] = Counter()
        """Responses that are not served as they were recorded, and why → how often."""
        self.last = LooseMatch()
        """How the recording that `find` returned last differs from its request."""
        self._repeat = repeat
        self._tape = Tape(path, match)
        self._tracks: dict[tuple[bool, int], Track] = {}
        self._unused: Counter[str] | None = None
        self.folder = self._tape.folder
        self.unanswered = self._tape.unanswered
        self.reading = self._tape.reading
        self.recordings: Sequence[RecordedExchange] = _Recordings(self._tape)

    def close(self) -> None:
        """Delete the temporary files."""
        self._tape.close()

    def finish(self) -> None:
        """Keep the names of unused recordings for the summary at the end, and delete the temporary files."""
        self._unused = self.unused_names()
        self.close()

    def read(self, spot: Spot) -> Any:
        """Read a value from the store."""
        return self._tape.store.read(spot)

    def pieces(self, recording: RecordedExchange) -> Sequence[float]:
        """Return the recorded times and sizes of the body's chunks (`RecordedExchange.pieces`); empty if unknown."""
        return self.read(recording.pieces) if recording.pieces is not None else ()

    def find(self, request: RequestView, host: str | None) -> RecordedExchange | Miss:
        """Return the recording to serve, marked as used, or the miss. `host`: only recordings for this host match."""
        exact = match_key_of(request, self.match)
        loose = exact if self.match.strict else loosened(exact)
        wanted = self._wanted(request, host)
        tracks: list[Track] = []
        for facts, is_loose in ((exact, False), (loose, True))[: 1 if self.match.strict else 2]:
            # An exact match is better than one that ignores volatile values.
            found = [track for one in self._blanked(facts) if (track := self._track(hash_of(one), loose=is_loose))]
            choice = Track.choose(found, wanted, self._tape.index.used, repeat=self._repeat)
            if choice is not None:
                recording = self._tape_recording(choice.place)
                self._tape.index.used[choice.place] += 1
                self._note(request, recording, exact, loose, choice.guess, is_loose=is_loose)
                return recording
            tracks += found
        return self._missed(request, loose, wanted, tracks)

    def _wanted(self, request: RequestView, host: str | None) -> Wanted:
        fields = request_fields(request, self.match)
        deciding = frozenset([0, *(decided(names, fields) for names in self._tape.deciding)])
        return Wanted(request.method, fields, host, deciding)

    def _blanked(self, facts: MatchKey) -> list[MatchKey]:
        """Return the key itself, and its form for each layout of redaction marks recorded for the same path."""
        layouts = [*self._tape.layouts.get(bucket(facts), ()), *self._tape.layouts.get((facts.get("method"), None), ())]
        if not layouts:
            return [facts]
        tried = (blanked(facts, layout) for layout in dict.fromkeys(layouts[:_MOST_LAYOUTS]))
        return [facts, *(one for one in tried if one is not None)]

    def _track(self, key: int, *, loose: bool) -> Track | None:
        index = self._tape.index
        run = index.run(key, loose=loose)
        if run[0] == run[1]:
            return None
        at = loose, run[0]
        track = self._tracks.get(at)
        if track is None:
            track = Track(index.places(run, loose=loose), index, self._tape_recording)
            remember(self._tracks, at, track, _MOST_TRACKS)
        return track

    def _tape_recording(self, place: int) -> RecordedExchange:
        return RecordedExchange.from_list(self._tape.store.read(self._tape.index.card(place)))

    def _note(
        self,
        request: RequestView,
        recording: RecordedExchange,
        exact: MatchKey,
        loose: MatchKey,
        guess: str,
        *,
        is_loose: bool,
    ) -> None:
        ignored: tuple[str, ...] = ()
        if is_loose and recording.facts is not None:
            there = self.read(recording.facts)
            ignored = tuple(dict.fromkeys(place for place, _, _ in differences(there, exact)))
            _count(self.ignored, *ignored)
        if guess:
            _count(self.guesses, f"{_name(request)}: {guess}")
        self.last = LooseMatch(ignored, guess)

    # ── misses ─────────────────────────────────────────────────────────────────────────────────────

    def _missed(self, request: RequestView, facts: MatchKey, wanted: Wanted, tracks: list[Track]) -> Miss:
        self.mismatch(_name(request))
        if tracks:
            place, reasons = Track.nearest(tracks, wanted)
            return Miss(self._tape_recording(place), reasons, used_up=not reasons)
        miss, read = Miss(), 0
        for place in self._tape.nearest.places(facts):
            recording = self._tape_recording(place)
            assert recording.facts is not None
            read += recording.facts[1]
            if miss.nearest is not None and read > _READ_FOR_MISS:
                break
            there = self.read(recording.facts)
            differs = list(differences(there if self.match.strict else loosened(there), facts))
            differs += judge(recording.variant, wanted.method, wanted.fields, wanted.host).reasons
            if miss.nearest is None or distance(differs) < distance(miss.differs):
                miss.nearest, miss.differs = recording, differs
        return miss

    def mismatch(self, what: str) -> None:
        """Count a request without a matching recording, or a deviation from one (a WebSocket message, for example)."""
        self.missed += 1
        _count(self.misses, what)

    def suggest(self, options: str) -> None:
        """Count the options with which a request that was missed would have matched."""
        _count(self.remedies, options)

    def change(self, what: str) -> None:
        """Count a response that cannot be served exactly as it was recorded."""
        _count(self.changed, what)

    def unused(self) -> list[RecordedExchange]:
        """Return the recordings that were never served."""
        return [self._tape_recording(place) for place in self._tape.index.unused()]

    def unused_names(self) -> Counter[str]:
        """Return the requests of the recordings that were never served → how many of each."""
        if self._unused is not None:
            return self._unused
        return Counter(self._tape_recording(place).name for place in self._tape.index.unused())

    @property
    def unused_count(self) -> int:
        """The number of recordings that were never served."""
        return sum(1 for _ in self._tape.index.unused())


class _Recordings(Sequence[RecordedExchange]):
    """The recordings in session order, each read from the store on access."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __len__(self) -> int:
        return len(self._tape.index)

    @overload
    def __getitem__(self, number: int) -> RecordedExchange: ...
    @overload
    def __getitem__(self, number: slice) -> list[RecordedExchange]: ...
    def __getitem__(self, number: int | slice) -> RecordedExchange | list[RecordedExchange]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        return RecordedExchange.from_list(
            self._tape.store.read(self._tape.index.card(self._tape.index.in_order[number]))
        )

    def __iter__(self) -> Iterator[RecordedExchange]:
        return (self[number] for number in range(len(self)))


def _name(request: RequestView) -> str:
    return f"{request.method} {request.path}{request.query_string}"


def _count(counter: Counter[str], *names: str) -> None:
    for name in names:
        if name in counter or len(counter) < _MOST_MISSES:
            counter[name] += 1


__all__ = ["Cassette", "LooseMatch", "Miss", "RecordedExchange"]
