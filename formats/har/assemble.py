"""Records in file order → entries, each when its exchange ends. Remembers only what is open, and not too much of that.

Records that belong to no open exchange are orphans: they stand after the entries, in `log._mockrec.events`. That part
is written again with every flush, so when there are many of them, the next entry takes them along (`_mockrec.others`).
What is open is written with every flush too, so it is made quickly: its records stand there whole, as they came, and
only the last `SHOWN_MESSAGES` in the form that viewers show. Long conversations would fill the memory: when open
exchanges hold more than `OPEN_BYTES` of messages and pieces, the longest is written so far, as an entry of its own with
`_mockrec.more`, and goes on in a further one.
"""

from __future__ import annotations

from typing import Any

import orjson

from mockrec.formats.har.delta import pack
from mockrec.formats.har.entry import make_entry
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.har.pages import Pages
from mockrec.formats.schema.events import DEFAULT_EVENTS, FIRST_TYPES, TERMINAL_TYPES
from mockrec.formats.text.json import dump

Record = dict[str, Any]

OPEN_BYTES = 1024 * 1024
ORPHANS_BYTES = 256 * 1024
PROVISIONAL_BODY = 64 * 1024
"""Bytes of a body that an exchange shows while it is open."""
SHOWN_MESSAGES = 100

_HEADS = frozenset({"request-initiated", "request", "websocket-request", "response-initiated", "websocket-accepted"})
_REQUESTS = frozenset({"request-initiated", "request", "websocket-request", "abort"})
_ENDLESS = frozenset(
    {"request-body-data", "response-body-data", "websocket-message-received", "websocket-message-sent", "rule-event"}
)
"""Types of which an exchange can have any number."""
_Held = tuple[int, Record, bytes]
"""A place, a record, and its line."""
_ELSEWHERE = frozenset({"client-error", "tls-client-error", "callback-error"})
"""Types that never are part of an entry, whatever their id."""


class _Open:
    """An exchange that has not ended."""

    __slots__ = ("context", "endless", "held", "id", "page", "provisional")

    def __init__(self, identity: Any) -> None:
        self.id = identity
        self.held: list[_Held] = []
        """What is in no entry yet."""
        self.context: list[Record] = []
        """Heads that are in an entry already; further ones begin with them too."""
        self.endless = 0
        """Bytes of records of endless types in `held`."""
        self.provisional: bytes | None = None
        """Its entry so far, until it changes."""
        self.page: str | None = None
        """The id of its page, "" for none; None until its head is known."""


class Assembler:
    """`add` records; an entry comes back when one is due. `folder`: where bodies beside the session are."""

    def __init__(self, folder: str) -> None:
        self.orphans: list[tuple[int, Record]] = []
        """Records with their places that belong behind the entries."""
        self.started: Record | None = None
        """The `session-started` record, if it is the first."""
        self.pages = Pages()
        self._folder = folder
        self._open: dict[Any, _Open] = {}
        self._count = 0
        self._orphans_bytes = 0
        self._endless_bytes = 0
        self._opens_late = False
        """Whether `request` is the first that is recorded of an exchange."""

    def add(self, record: Record, line: bytes) -> bytes | None:
        """Take the next record, which stands in `line`; the entry that is complete by it."""
        place, size = self._count, len(line)
        self._count += 1
        kind, identity = record["type"], record.get("id")
        if kind == "session-started" and place == 0 and record.get("seq") == 0:
            self.started = record
            self.pages.imported(record.get("importedPages"))
            self._opens_late = not set(items(record.get("events", list(DEFAULT_EVENTS)))) >= FIRST_TYPES
            return None
        exchange = self._exchange(kind, identity) if isinstance(identity, str) else None
        if exchange is None:
            self.orphans.append((place, record))
            self._orphans_bytes += size
            return None
        exchange.held.append((place, record, line))
        exchange.provisional = None
        if exchange.page is None and kind in _REQUESTS:
            exchange.page = self.pages.begin(exchange.id, record)
        if kind in TERMINAL_TYPES:
            self._open.pop(identity, None)
            self._endless_bytes -= exchange.endless
            return self._entry(exchange)
        if kind in _ENDLESS:
            exchange.endless += size
            self._endless_bytes += size
            if self._endless_bytes > OPEN_BYTES:
                return self._part()
        return None

    def provisional(self) -> list[bytes]:
        """Entries of what is open, with what fits of its bodies."""
        for exchange in self._open.values():
            if exchange.provisional is None and exchange.held:
                exchange.provisional = self._so_far(exchange)
        return [exchange.provisional for exchange in self._open.values() if exchange.provisional]

    def unfinished(self) -> list[bytes]:
        """Entries of what has no end, whole; nothing is open after that."""
        still_open, self._open = self._open, {}
        return [self._encode(exchange, exchange.held, "pending") for exchange in still_open.values()]

    def _exchange(self, kind: str, identity: str) -> _Open | None:
        if kind in _ELSEWHERE:
            return None
        exchange = self._open.get(identity)
        if exchange is not None and kind in FIRST_TYPES and not _is_upgrade(kind, exchange):
            return None  # a second beginning: the first goes on
        if exchange is None and kind in ("response", "abort"):
            return _Open(identity)
        if exchange is None and (kind in FIRST_TYPES or (kind == "request" and self._opens_late)):
            exchange = self._open[identity] = _Open(identity)
        return exchange

    def _part(self) -> bytes:
        longest = max(self._open.values(), key=lambda exchange: exchange.endless)
        data = self._encode(longest, longest.held, "more")
        longest.context += [_shortened(record, 0) for _, record, _ in longest.held if record["type"] in _HEADS]
        longest.held = []
        self._endless_bytes -= longest.endless
        longest.endless = 0
        longest.provisional = None
        return data

    def _entry(self, exchange: _Open) -> bytes:
        return self._encode(exchange, exchange.held)

    def _so_far(self, exchange: _Open) -> bytes:
        heads = [_shortened(record) for _, record, _ in exchange.held if record["type"] not in _ENDLESS]
        others = [record for _, record, _ in exchange.held if record["type"] in _ENDLESS]
        entry = self._standard(exchange, [*heads, *others[-SHOWN_MESSAGES:]])
        records = [_whole(place, record, line) for place, record, line in exchange.held]
        entry["_mockrec"] = {"id": exchange.id, "pending": True, "records": records}
        return dump(entry)

    def _standard(self, exchange: _Open, records: list[Record]) -> Record:
        """What other readers know of an exchange, by these records of it."""
        entry = make_entry([*exchange.context, *records], self._folder)
        if exchange.page:
            entry["pageref"] = exchange.page
        return entry

    def _encode(self, exchange: _Open, held: list[_Held], state: str = "") -> bytes:
        entry = self._standard(exchange, [record for _, record, _ in held])
        if not state:
            self.pages.end(exchange.id, entry)
        ours: Record = {"id": exchange.id}
        entry["_mockrec"] = ours
        ours["events"] = pack(entry, [(place, record) for place, record, _ in held])
        if state:
            ours[state] = True
        if self._orphans_bytes > ORPHANS_BYTES and state != "pending":
            ours["others"] = encode_orphans(self.orphans)
            self.orphans, self._orphans_bytes = [], 0
        return dump(entry)


def encode_orphans(orphans: list[tuple[int, Record]]) -> list[Record]:
    """Whole records; those whose place is not their `seq` say it: `{"at", "record"}`."""
    return [record if _is_at(record, place) else {"at": place, "record": record} for place, record in orphans]


def _whole(place: int, record: Record, line: bytes) -> Any:
    """The same of one record, from its line where that can be."""
    kept = _shortened(record)
    whole = orjson.Fragment(line) if kept is record else kept
    return whole if _is_at(record, place) else {"at": place, "record": whole}


def _is_at(record: Record, place: int) -> bool:
    return type(record.get("seq")) is int and record["seq"] == place


def _is_upgrade(kind: str, exchange: _Open) -> bool:
    """An upgrade may be announced by its head before `websocket-request` tells what it is."""
    known = {record["type"] for _, record, _ in exchange.held}
    return kind == "websocket-request" and "websocket-request" not in known and not exchange.context


def _shortened(record: Record, most: int = PROVISIONAL_BODY) -> Record:
    """The record without a body of more bytes than that: what is open shows its size and that it was cut."""
    body = mapping(record.get("body"))
    if sum(len(text(body.get(key))) for key in ("text", "base64", "raw")) <= most:
        return record
    return {**record, "body": {"size": body.get("size", 0), "text": "", "truncated": True}}
