"""Find the response values that later requests of a recording use, in the first pass over the session.

The survey remembers a limited number of response values and drops the least recently used first. A value that a
client sent before any response contained it is not counted as a response value. The plan keeps only the values that
requests use.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from mockrec.engine.bounded_cache import remember
from mockrec.engine.replay.chain import answer_values
from mockrec.engine.replay.chain.names import looks_like_id
from mockrec.engine.replay.chain.slot import Slot
from mockrec.engine.replay.chain.slots import message_slots, slots_of
from mockrec.engine.replay.session.editable import EditableRequest, raw_headers
from mockrec.engine.replay.session.requests import RecordedRequest, known_at, time_of
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError

_MOST: Final = 100_000
"""The most response values, and the most values sent by clients, that are remembered at a time."""
_MOST_TEXT: Final = 32 * 1024 * 1024
"""The most characters of remembered response values."""
_MOST_OF_ONE: Final = 10_000
"""The most values of one response."""
_MOST_SOURCES: Final = 4
"""The most responses that are remembered for one value."""
_ALTERNATIVES: Final = 2
"""The most responses that the plan keeps for one value of a request."""
_LOOK_BACK: Final = 8
"""The most earlier responses that are considered for a value that comes from the latest one."""
_MOST_KEPT: Final = 512
_LONGEST_KEPT: Final = 4096
"""Bytes of a response whose values are kept."""
_MOST_OF_KEPT: Final = 64
"""Values of such a response. All three together bound the memory at a few MB."""
_PLAIN_BODY: Final = frozenset({"size", "text"})
_SLACK: Final = 0.002
"""Tolerance for the rounding of recorded times, in seconds."""
_LONGEST_PLACE: Final = 80
_INDEX: Final = re.compile(r"\[\d+\]|#\d+")


@dataclass(slots=True)
class ValueSource:
    """A recorded response that contains a value, and the place of the value in it."""

    id: str
    """The id of the exchange."""
    order: int
    """The position of its request in the session."""
    ended: float
    """The earliest time at which a client may have received the response, in seconds since the epoch."""
    place: str
    label: str
    """A description of its request, for messages."""

    @property
    def is_counted(self) -> bool:
        """Whether the place contains an index, which may change in a new response."""
        return _INDEX.search(self.place.partition(":")[2]) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """A value of a request and the responses that it may come from, the likeliest first."""

    slot: Slot
    key: str
    """The key of the slot that matched a response value."""
    sources: tuple[ValueSource, ...]

    @property
    def text(self) -> str:
        """Describe the link by its likeliest source and its slot, for messages."""
        return describe_link(self.sources[0], self.slot)


def describe_link(source: ValueSource, slot: Slot) -> str:
    """Describe a chained value by its source and its slot, for messages."""
    return f"{source.label} {shown_place(source.place)} → {shown_place(slot.place)}"


def shown_place(place: str) -> str:
    """Return a place for messages, without indexes and shortened."""
    text = re.sub(r"#\d+", "", re.sub(r"(?<=.)\[\d+\]", "[*]", place))
    return text if len(text) <= _LONGEST_PLACE else f"{text[:_LONGEST_PLACE]}…"


@dataclass(slots=True)
class ChainPlan:
    """The values that requests of a recording take from responses."""

    values: dict[str, list[ValueSource]] = field(default_factory=dict)
    """Key of a value → the responses that contain it, in the order of their requests."""
    places: dict[str, dict[str, str]] = field(default_factory=dict)
    """Exchange id → the places that later requests use → the recorded values."""

    def links(
        self, request: EditableRequest, order: int, began: float, slots: Iterable[Slot] | None = None
    ) -> tuple[Link, ...]:
        """Return the values of a request that come from responses; `order` is its position in the session. `slots`:
        those of the request, if they are known already."""
        if not self.values:
            return ()
        return tuple(_links(self.values, slots_of(request) if slots is None else slots, order, began))

    def message_links(self, data: bytes, record: Mapping[str, Any]) -> tuple[Link, ...]:
        """Return the values of a WebSocket message that come from responses."""
        if not self.values:
            return ()
        return tuple(_links(self.values, message_slots(data), None, time_of(record)))


def _links(
    values: Mapping[str, list[ValueSource]],
    slots: Iterable[Slot],
    order: int | None,
    began: float,
    miss: Callable[[Slot], None] | None = None,
) -> Iterator[Link]:
    for slot in slots:
        for key in slot.keys:
            candidates = values.get(key)
            if candidates and (sources := _likeliest(candidates, key, order, began)):
                yield Link(slot, key, sources)
                break
        else:
            if miss is not None:
                miss(slot)


def _likeliest(candidates: list[ValueSource], key: str, order: int | None, began: float) -> tuple[ValueSource, ...]:
    """Return the responses that a value may come from, the likeliest first.

    Cookies, validators and values matched by name alone come from the latest response, any other value from the first
    one, preferably at a place without an index.
    """
    if _is_latest(key):
        end = len(candidates) if order is None else bisect_left(candidates, order, key=_by_order)
        return tuple(
            [one for one in reversed(candidates[max(0, end - _LOOK_BACK) : end]) if _is_earlier(one, order, began)]
        )
    return tuple(sorted([one for one in candidates if _is_earlier(one, order, began)], key=_by_origin))


def _is_latest(key: str) -> bool:
    return key.startswith(("\0cookie", "\0name", "etag ", "last-modified "))


def _by_order(source: ValueSource) -> int:
    return source.order


def _by_origin(source: ValueSource) -> tuple[bool, int]:
    return source.is_counted, source.order


def _is_earlier(source: ValueSource, order: int | None, began: float) -> bool:
    if order is not None and source.order >= order:
        return False
    return not (source.ended and began) or source.ended <= began + _SLACK


@dataclass(slots=True)
class _OpenRequest:
    """A registered request whose response is still to be read."""

    order: int
    target: str
    label: str


class ChainSurvey:
    """Searches a session for response values that requests use, and collects them in `plan`."""

    def __init__(self) -> None:
        self.plan = ChainPlan()
        self._sources_by_key: OrderedDict[str, list[ValueSource]] = OrderedDict()
        """Key of a value → the responses that contain it; the least recently used keys come first."""
        self._char_count = 0
        self._source_count = 0
        self._sent_before: OrderedDict[int, None] = OrderedDict()
        """Hashes of the keys of values that clients sent before any response contained them."""
        self._open: dict[str, _OpenRequest] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._values: dict[bytes, tuple[answer_values.Value, ...]] = {}
        """The values of short responses, of which a session may have many that are equal."""

    def links(
        self, request: EditableRequest, order: int, began: float, slots: Iterable[Slot] | None = None
    ) -> tuple[Link, ...]:
        """Return the values of the next request that come from responses, and add them to the plan. `slots`: those of
        the request, if they are known already."""
        slots = slots_of(request) if slots is None else slots
        return self._used(_links(self._sources_by_key, slots, order, began, self._remember_sent))

    def message_links(self, data: bytes, record: Mapping[str, Any]) -> tuple[Link, ...]:
        """Return the values of a WebSocket message that come from responses, and add them to the plan."""
        return self._used(_links(self._sources_by_key, message_slots(data), None, time_of(record), self._remember_sent))

    def will_send(self, recorded: RecordedRequest, request: EditableRequest) -> None:
        """Register a request that the replay will send, so that the values of its response can be used."""
        key = request.method, request.target
        label = self._labels.get(key)
        if label is None:
            label = _label(*key)
            if len(request.target) <= _LONGEST_KEPT:
                remember(self._labels, key, label, _MOST_KEPT)
        self._open[recorded.id] = _OpenRequest(recorded.order, request.target, label)

    def answer(self, identity: str, record: Mapping[str, Any], folder: Path | None) -> None:
        """Remember the values of the response to a registered request; any other end only removes the request."""
        opened = self._open.pop(identity, None)
        if opened is None or record["type"] != "response":
            return
        values = self._values_of(opened.target, record, folder)
        if not values:
            return
        ended = known_at(record)
        for one in values:
            if one.key.startswith(("\0cookie", "\0name")) or hash(one.key) not in self._sent_before:
                self._remember(one, ValueSource(identity, opened.order, ended, one.place, opened.label))

    def _values_of(
        self, target: str, record: Mapping[str, Any], folder: Path | None
    ) -> tuple[answer_values.Value, ...]:
        """Return the values of the response to a request for `target` that requests may use."""
        key, body = b"", record.get("body")
        if isinstance(body, Mapping) and body.keys() == _PLAIN_BODY:
            size = body["size"]
            if isinstance(size, int) and size <= _LONGEST_KEPT:
                key = _encoded([target, record.get("rawHeaders"), record.get("headers"), body])
            if key and (kept := self._values.get(key)) is not None:
                return kept
        head = raw_headers(record)
        values = answer_values.values_of(target, head, _body_text(record, head, folder), every=False)
        found = tuple(islice((one for one in values if one.key), _MOST_OF_ONE))
        return remember(self._values, key, found, _MOST_KEPT) if key and len(found) <= _MOST_OF_KEPT else found

    def _remember(self, value: answer_values.Value, source: ValueSource) -> None:
        candidates = self._sources_by_key.get(value.key)
        if candidates is None:
            candidates = self._sources_by_key[value.key] = []
            self._char_count += len(value.key)
            while len(self._sources_by_key) > _MOST or self._char_count > _MOST_TEXT:
                key, _ = self._sources_by_key.popitem(last=False)
                self._char_count -= len(key)
        elif any(one.id == source.id for one in candidates):
            return  # the first place in a response is sufficient
        if len(candidates) >= _MOST_SOURCES:
            del candidates[0 if _is_latest(value.key) else 1]
        insort(candidates, source, key=_by_order)

    def _used(self, links: Iterable[Link]) -> tuple[Link, ...]:
        found = tuple(links)
        for link in found:
            self._sources_by_key.move_to_end(link.key)
            planned = self.plan.values.get(link.key)
            if planned is None:
                if len(self.plan.values) >= _MOST:
                    continue
                planned = self.plan.values[link.key] = []
            for source in link.sources[:_ALTERNATIVES]:
                at = bisect_left(planned, source.order, key=_by_order)
                is_new = at == len(planned) or planned[at] is not source
                if is_new and self._source_count < _MOST and (len(planned) < _MOST_SOURCES or _is_latest(link.key)):
                    planned.insert(at, source)
                    self._source_count += 1
                    text = "" if link.key.startswith("\0name") else link.key.rpartition("\0")[2]
                    self.plan.places.setdefault(source.id, {}).setdefault(source.place, text)
        return found

    def _remember_sent(self, slot: Slot) -> None:
        for key in slot.keys:
            self._sent_before[hash(key)] = None
            if len(self._sent_before) > _MOST:
                self._sent_before.popitem(last=False)

    def finish(self) -> ChainPlan:
        """Return the plan after the whole session was read, and free the memory of the survey."""
        self._sources_by_key.clear()
        self._sent_before.clear()
        return self.plan


def _label(method: str, target: str) -> str:
    """Describe a request for messages, without its ids."""
    path = target.partition("?")[0]
    shown = "/".join("{…}" if looks_like_id(part) else part for part in path.split("/")[:32])
    return f"{method} {shown[:200]}"


def _encoded(parts: list[Any]) -> bytes:
    """Return a key for these parts of a record; empty if they are long."""
    try:
        key = orjson.dumps(parts)
    except orjson.JSONEncodeError:
        return b""
    return key if len(key) <= _LONGEST_KEPT else b""


def _body_text(record: Mapping[str, Any], head: list[list[str]], folder: Path | None) -> str:
    body = record.get("body")
    if not isinstance(body, Mapping) or not body.get("size") or not answer_values.has_text(head):
        return ""
    if not isinstance(body["size"], int) or body["size"] > answer_values.LARGEST:
        return ""
    try:
        return Body.from_record(body, folder).bytes.decode("utf-8", "replace")
    except SessionError:
        return ""
