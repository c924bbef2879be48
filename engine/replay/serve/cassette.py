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
from mockrec.engine.replay.session.only import EveryExchange, ExchangeFilter
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
    stale: str = ""
    """Why the recording that matches (`nearest`) is not served: it is `expired`, or to be made again (`refresh`)."""
    is_first: bool = False
    """Whether the stale recording was not asked for before, so that a new one takes its place."""


@dataclass(slots=True)
class LooseMatch:
    """How the last matched recording differs from its request."""

    ignored: tuple[str, ...] = ()
    """Places with volatile values, which were ignored."""
    guess: str = ""
    """Why another recording might have been the right one."""


class Cassette:
    """The recordings of a session. Raises SessionError."""

    def __init__(
        self,
        path: str,
        match: MatchOptions,
        *,
        repeat: bool = True,
        oldest: float = 0.0,
        refresh: ExchangeFilter | EveryExchange | None = None,
        is_new: bool = False,
    ) -> None:
        """`repeat`: when all recordings of a request are used, the last one is served again. `oldest` and `refresh`:
        see `Tape`; such recordings are misses. `is_new`: there is no session yet."""
        self.path = path
        self.match = match
        self.served = 0
        """Requests that were answered by a recording."""
        self.expired: Counter[str] = Counter()
        """Requests whose recordings are older than `oldest` → how often."""
        self.added = 0
        """Exchanges that were added to the session when the run ended."""
        self.refreshed = 0
        """Requests whose recordings are to be made again."""
        self.passed_on: set[str] = set()
        """The ids of exchanges without a recording that went to a server and become part of the session."""
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
        self._tape = Tape(None if is_new else path, match, oldest=oldest, refresh=refresh)
        self._tracks: dict[tuple[bool, int, bool], Track] = {}
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

    def reset(self) -> None:
        """Begin again: the first recording of each request is served next. What the summary counts stays."""
        self._tape.index.reset()
        self._tracks.clear()

    def read(self, spot: Spot) -> Any:
        """Read a value from the store."""
        return self._tape.store.read(spot)

    def pieces(self, recording: RecordedExchange) -> Sequence[float]:
        """Return the recorded times and sizes of the body's chunks (`RecordedExchange.pieces`); empty if unknown."""
        return self.read(recording.pieces) if recording.pieces is not None else ()

    def find(self, request: RequestView, host: str | None) -> RecordedExchange | Miss:
        """Return the recording to serve, marked as used, or the miss. `host`: only recordings for this host match."""
        found = self._find(request, host, match_key_of(request, self.match))
        return self._missed(request, *found) if isinstance(found, tuple) else found

    def conversations(self, path: str) -> list[int]:
        """Return how many messages of the client come before the first answer in gRPC conversations of a path."""
        return sorted(self._tape.conversations.get(path, ()))

    def find_conversation(
        self, request: RequestView, host: str | None, messages: Sequence[Any]
    ) -> RecordedExchange | Miss | None:
        """Return the gRPC conversation that begins with these messages, marked as used; None if there is none."""
        found = self._find(request, host, match_key_of(request, self.match, messages=messages))
        if isinstance(found, tuple):
            return None
        return found if isinstance(found, Miss) or found.course is not None else None

    def _find(
        self, request: RequestView, host: str | None, exact: MatchKey
    ) -> RecordedExchange | Miss | tuple[MatchKey, Wanted, list[Track]]:
        """Return the recording to serve, marked as used, the miss of a stale one, or what explains another miss."""
        loose = exact if self.match.strict else loosened(exact)
        wanted = self._wanted(request, host)
        tracks: list[Track] = []
        # An exact match is better than one that ignores volatile values, and any is better than a stale one.
        ways = ((exact, False), (loose, True))[: 1 if self.match.strict else 2]
        for stale in (False, True) if self._tape.stale else (False,):
            for facts, is_loose in ways:
                keys = map(hash_of, self._blanked(facts))
                found = [track for key in keys if (track := self._track(key, loose=is_loose, stale=stale))]
                choice = Track.choose(found, wanted, self._tape.index.used, repeat=self._repeat)
                if choice is not None:
                    recording = self._tape_recording(choice.place)
                    self._tape.index.used[choice.place] += 1
                    if stale:
                        return self._stale(request, choice.place, recording)
                    self.served += 1
                    self._note(request, recording, exact, loose, choice.guess, is_loose=is_loose)
                    return recording
                tracks += found
        return loose, wanted, tracks

    def _stale(self, request: RequestView, place: int, recording: RecordedExchange) -> Miss:
        why = self._tape.stale[place]
        if why == "expired":
            _count(self.expired, _name(request))
        else:
            self.refreshed += 1
        return Miss(recording, stale=why, is_first=self._tape.index.used[place] == 1)

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

    def _track(self, key: int, *, loose: bool, stale: bool) -> Track | None:
        index, are_stale = self._tape.index, self._tape.stale
        run = index.run(key, loose=loose)
        if run[0] == run[1]:
            return None
        at = loose, run[0], stale
        track = self._tracks.get(at)
        if track is None:
            places = index.places(run, loose=loose)
            if are_stale:
                places = [place for place in places if (place in are_stale) is stale]
                if not places:
                    return None
            track = Track(places, index, self._tape_recording)
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
            if place in self._tape.replaced:
                continue
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

    @property
    def unused_since_reset(self) -> int:
        """The number of recordings that were not served since the last reset."""
        return self._tape.index.used.count(0)


class _Recordings(Sequence[RecordedExchange]):
    """The recordings in session order, each read from the store on access."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __len__(self) -> int:
        return len(self._tape.index.in_order)

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
