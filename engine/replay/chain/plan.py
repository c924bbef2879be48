"""Which values of answers stand in later requests of a recording: found while the session is read for the first time.

Answers are remembered by their values, so many of them, and forgotten from the oldest on; what a client had said before
any answer did is no value of an answer. Only what a request has really used is kept for the sending.
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

from mockrec.engine.replay.chain import answer_values
from mockrec.engine.replay.chain.names import looks_like_id
from mockrec.engine.replay.chain.slot import Slot
from mockrec.engine.replay.chain.slots import message_slots, slots_of
from mockrec.engine.replay.session.editable import EditableRequest, raw_headers
from mockrec.engine.replay.session.requests import RecordedRequest, known_at, time_of
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError

_MOST: Final = 100_000
"""Values of answers, and values that requests have used, that are remembered at a time."""
_MOST_TEXT: Final = 32 * 1024 * 1024
"""Characters of the former."""
_MOST_OF_ONE: Final = 10_000
"""Values of one answer."""
_MOST_SOURCES: Final = 4
"""Answers that are remembered for one value."""
_ALTERNATIVES: Final = 2
"""Answers that are kept for one value of a request."""
_LOOK_BACK: Final = 8
_SLACK: Final = 0.002
"""Seconds by which recorded times may be rounded."""
_LONGEST_PLACE: Final = 80
_INDEX: Final = re.compile(r"\[\d+\]|#\d+")


@dataclass(slots=True)
class ValueSource:
    """Where in which recorded answer a value stands."""

    id: str
    order: int
    """Of its request in the session."""
    ended: float
    """When the answer may have been known at the earliest, in seconds since the epoch."""
    place: str
    label: str
    """Its request, for people."""

    @property
    def is_counted(self) -> bool:
        """Whether the place is one of several of its kind, whose order may change."""
        return _INDEX.search(self.place.partition(":")[2]) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """A value of a request, and the answers that it may come from, the likeliest first."""

    slot: Slot
    key: str
    """Which of the keys of the slot is known."""
    sources: tuple[ValueSource, ...]

    @property
    def text(self) -> str:
        """For people."""
        return said(self.sources[0], self.slot)


def said(source: ValueSource, slot: Slot) -> str:
    """A value by where it comes from and where it goes, for people."""
    return f"{source.label} {shown_place(source.place)} → {shown_place(slot.place)}"


def shown_place(place: str) -> str:
    """A place for people: which of several it was does not matter."""
    text = re.sub(r"#\d+", "", re.sub(r"(?<=.)\[\d+\]", "[*]", place))
    return text if len(text) <= _LONGEST_PLACE else f"{text[:_LONGEST_PLACE]}…"


@dataclass(slots=True)
class ChainPlan:
    """What is handed on in a recording."""

    values: dict[str, list[ValueSource]] = field(default_factory=dict)
    """Key → where it has come from."""
    places: dict[str, dict[str, str]] = field(default_factory=dict)
    """Exchange → the places that later requests need, and what was recorded there."""

    def links(self, draft: EditableRequest, order: int, began: float) -> tuple[Link, ...]:
        """What of a request comes from answers; `order` is its number in the session, `began` when it was recorded."""
        return tuple(_links(self.values, slots_of(draft), order, began)) if self.values else ()

    def message_links(self, data: bytes, record: Mapping[str, Any]) -> tuple[Link, ...]:
        """The same of a message of a WebSocket."""
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
            known = values.get(key)
            if known and (sources := _sources(known, key, order, began)):
                yield Link(slot, key, sources)
                break
        else:
            if miss is not None:
                miss(slot)


def _sources(known: list[ValueSource], key: str, order: int | None, began: float) -> tuple[ValueSource, ...]:
    """Where a value may have come from: cookies, validators and what has only its name, from where it was given last;
    things from where they came to be."""
    if _is_latest(key):
        end = len(known) if order is None else bisect_left(known, order, key=_by_order)
        return tuple([one for one in reversed(known[max(0, end - _LOOK_BACK) : end]) if _is_earlier(one, order, began)])
    return tuple(sorted([one for one in known if _is_earlier(one, order, began)], key=_by_origin))


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
class _Open:
    order: int
    target: str
    label: str


class ChainSurvey:
    """Reads a session; `plan` is what it has found."""

    def __init__(self) -> None:
        self.plan = ChainPlan()
        self._known: OrderedDict[str, list[ValueSource]] = OrderedDict()
        self._text = 0
        self._sources = 0
        self._said: OrderedDict[int, None] = OrderedDict()
        self._open: dict[str, _Open] = {}

    def links(self, draft: EditableRequest, order: int, began: float) -> tuple[Link, ...]:
        """What of the next request comes from answers."""
        return self._used(_links(self._known, slots_of(draft), order, began, self._first_said))

    def message_links(self, data: bytes, record: Mapping[str, Any]) -> tuple[Link, ...]:
        """The same of a message of a WebSocket."""
        return self._used(_links(self._known, message_slots(data), None, time_of(record), self._first_said))

    def will_send(self, call: RecordedRequest, draft: EditableRequest) -> None:
        """A request is going to be sent, so there will be a new answer to it."""
        path = draft.target.partition("?")[0]
        shown = "/".join("{…}" if looks_like_id(part) else part for part in path.split("/")[:32])
        self._open[call.id] = _Open(call.order, draft.target, f"{draft.method} {shown[:200]}")

    def answer(self, identity: str, record: Mapping[str, Any], folder: Path | None) -> None:
        """The recorded answer to one of these."""
        asked = self._open.pop(identity, None)
        if asked is None or record["type"] != "response":
            return
        head = raw_headers(record)
        values = answer_values.values_of(asked.target, head, _body_text(record, head, folder), every=False)
        ended = known_at(record)
        for one in islice((one for one in values if one.key), _MOST_OF_ONE):
            if one.key.startswith(("\0cookie", "\0name")) or hash(one.key) not in self._said:
                self._remember(one, ValueSource(identity, asked.order, ended, one.place, asked.label))

    def _remember(self, value: answer_values.Value, source: ValueSource) -> None:
        known = self._known.get(value.key)
        if known is None:
            known = self._known[value.key] = []
            self._text += len(value.key)
            while len(self._known) > _MOST or self._text > _MOST_TEXT:
                key, _ = self._known.popitem(last=False)
                self._text -= len(key)
        elif any(one.id == source.id for one in known):
            return  # the first place in an answer will do
        if len(known) >= _MOST_SOURCES:
            del known[0 if _is_latest(value.key) else 1]
        insort(known, source, key=_by_order)

    def _used(self, links: Iterable[Link]) -> tuple[Link, ...]:
        found = tuple(links)
        for link in found:
            self._known.move_to_end(link.key)
            kept = self.plan.values.get(link.key)
            if kept is None:
                if len(self.plan.values) >= _MOST:
                    continue
                kept = self.plan.values[link.key] = []
            for source in link.sources[:_ALTERNATIVES]:
                at = bisect_left(kept, source.order, key=_by_order)
                is_new = at == len(kept) or kept[at] is not source
                if is_new and self._sources < _MOST and (len(kept) < _MOST_SOURCES or _is_latest(link.key)):
                    kept.insert(at, source)
                    self._sources += 1
                    text = "" if link.key.startswith("\0name") else link.key.rpartition("\0")[2]
                    self.plan.places.setdefault(source.id, {}).setdefault(source.place, text)
        return found

    def _first_said(self, slot: Slot) -> None:
        for key in slot.keys:
            self._said[hash(key)] = None
            if len(self._said) > _MOST:
                self._said.popitem(last=False)

    def finish(self) -> ChainPlan:
        """The plan, when the session has been read."""
        self._known.clear()
        self._said.clear()
        return self.plan


def _body_text(record: Mapping[str, Any], head: list[list[str]], folder: Path | None) -> str:
    told = record.get("body")
    if not isinstance(told, Mapping) or not told.get("size") or not answer_values.has_text(head):
        return ""
    if not isinstance(told["size"], int) or told["size"] > answer_values.LARGEST:
        return ""
    try:
        return Body.from_record(told, folder).bytes.decode("utf-8", "replace")
    except SessionError:
        return ""
