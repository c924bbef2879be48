"""Records in file order → entries, each when its exchange ends. In memory are the open exchanges, up to a limit.

Records of no open exchange are orphans: they follow the entries, in `log._mockrec.events`. That part is written again
with every flush, so if there are many orphans, the next entry takes them along (`_mockrec.others`). Open exchanges are
written with every flush too, so their entries are made quickly: they have the records whole, as they are in the log,
and only the last `SHOWN_MESSAGES` in the form that viewers show. Long exchanges would fill the memory: if the open ones
hold more than `OPEN_BYTES` of messages and body pieces, the longest is written so far, as an entry with
`_mockrec.more`, and continues in a further entry.
"""

from __future__ import annotations

from typing import Any

import orjson

from mockrec.formats.har.delta import pack
from mockrec.formats.har.entry import make_entry
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.har.pages import Pages
from mockrec.formats.schema.lifecycle import (
    DEFAULT_EVENTS,
    FIRST_TYPES,
    REQUEST_HEADS,
    RESPONSE_HEADS,
    TERMINAL_TYPES,
    Unit,
    is_upgrade,
    types_where,
)
from mockrec.formats.text.json import dump

Record = dict[str, Any]

OPEN_BYTES = 1024 * 1024
ORPHAN_BYTES = 256 * 1024
PROVISIONAL_BODY = 64 * 1024
"""Bytes of a body that the entry of an open exchange shows."""
SHOWN_MESSAGES = 100

_HEADS = (REQUEST_HEADS | RESPONSE_HEADS) - TERMINAL_TYPES
_ENDLESS = types_where(lambda row: row.unit is Unit.EXCHANGE and row.repeats)
"""Types of which an exchange can have any number."""
_HeldRecord = tuple[int, Record, bytes]
"""The number of a record in the file, the record, and its line."""
_UNANNOUNCED = types_where(lambda row: row.ends and row.unit is Unit.EXCHANGE and not row.websocket)
"""Types that are an entry of their own where no other record of their exchange is in the session."""
_ELSEWHERE = types_where(lambda row: row.unit in (Unit.CONNECTION, Unit.CALLBACK))
"""Types that are part of no entry, whatever their id."""


class _Open:
    """An exchange that has not ended."""

    __slots__ = ("context", "endless", "first", "held", "id", "page", "provisional")

    def __init__(self, identity: Any, first: str) -> None:
        self.id = identity
        self.first = first
        """The type of the record that began it."""
        self.held: list[_HeldRecord] = []
        """The records that are in no entry yet."""
        self.context: list[Record] = []
        """Heads that are in an entry already; the further entries begin with them too."""
        self.endless = 0
        """Bytes of the records in `held` whose types are endless."""
        self.provisional: bytes | None = None
        """Its entry so far, until it changes."""
        self.page: str | None = None
        """The id of its page, "" for none; None until its head is known."""


class Assembler:
    """`add` records; it returns the entries that are due. `folder` has the bodies that are in files of their own."""

    def __init__(self, folder: str) -> None:
        self.orphans: list[tuple[int, Record]] = []
        """Records, with their numbers, that follow the entries."""
        self.started: Record | None = None
        """The `session-started` record, if it is the first."""
        self.pages = Pages()
        self._folder = folder
        self._open: dict[Any, _Open] = {}
        self._count = 0
        self._orphan_bytes = 0
        self._endless_bytes = 0
        self._opens_late = False
        """Whether `request` is the first record of an exchange."""

    def add(self, record: Record, line: bytes) -> bytes | None:
        """Add the next record, and the line that it was read from; return the entry that is due, or None."""
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
            self._orphan_bytes += size
            return None
        exchange.held.append((place, record, line))
        exchange.provisional = None
        if exchange.page is None and kind in REQUEST_HEADS:
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
        """Return entries of the open exchanges, with shortened bodies."""
        for exchange in self._open.values():
            if exchange.provisional is None and exchange.held:
                exchange.provisional = self._so_far(exchange)
        return [exchange.provisional for exchange in self._open.values() if exchange.provisional]

    def unfinished(self) -> list[bytes]:
        """Return whole entries of the exchanges without an end; none is open after that."""
        still_open, self._open = self._open, {}
        return [self._encode(exchange, exchange.held, "pending") for exchange in still_open.values()]

    def _exchange(self, kind: str, identity: str) -> _Open | None:
        if kind in _ELSEWHERE:
            return None
        exchange = self._open.get(identity)
        if exchange is not None and kind in FIRST_TYPES:
            if exchange.context or not is_upgrade(kind, exchange.first):
                return None  # a second beginning: the exchange continues without it
            exchange.first = kind
        elif exchange is None and kind in _UNANNOUNCED:
            return _Open(identity, kind)
        elif exchange is None and (kind in FIRST_TYPES or (kind == "request" and self._opens_late)):
            exchange = self._open[identity] = _Open(identity, kind)
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
        endless = [record for _, record, _ in exchange.held if record["type"] in _ENDLESS]
        entry = self._standard(exchange, [*heads, *endless[-SHOWN_MESSAGES:]])
        records = [_whole(place, record, line) for place, record, line in exchange.held]
        entry["_mockrec"] = {"id": exchange.id, "pending": True, "records": records}
        return dump(entry)

    def _standard(self, exchange: _Open, records: list[Record]) -> Record:
        """Return the fields of an entry that other readers know, from these records of its exchange."""
        entry = make_entry([*exchange.context, *records], self._folder)
        if exchange.page:
            entry["pageref"] = exchange.page
        return entry

    def _encode(self, exchange: _Open, held: list[_HeldRecord], state: str = "") -> bytes:
        entry = self._standard(exchange, [record for _, record, _ in held])
        if not state:
            self.pages.end(exchange.id, entry)
        ours: Record = {"id": exchange.id}
        entry["_mockrec"] = ours
        ours["events"] = pack(entry, [(place, record) for place, record, _ in held])
        if state:
            ours[state] = True
        if self._orphan_bytes > ORPHAN_BYTES and state != "pending":
            ours["others"] = encode_orphans(self.orphans)
            self.orphans, self._orphan_bytes = [], 0
        return dump(entry)


def encode_orphans(orphans: list[tuple[int, Record]]) -> list[Record]:
    """Return whole records; one whose number is not its `seq` as `{"at", "record"}`."""
    return [record if _is_at(record, place) else {"at": place, "record": record} for place, record in orphans]


def _whole(place: int, record: Record, line: bytes) -> Any:
    """Return one record like `placed`, from its line if its body is not shortened."""
    kept = _shortened(record)
    whole = orjson.Fragment(line) if kept is record else kept
    return whole if _is_at(record, place) else {"at": place, "record": whole}


def _is_at(record: Record, place: int) -> bool:
    return type(record.get("seq")) is int and record["seq"] == place


def _shortened(record: Record, most: int = PROVISIONAL_BODY) -> Record:
    """Return the record; instead of a body of more bytes its size, and that it was cut."""
    body = mapping(record.get("body"))
    if sum(len(text(body.get(key))) for key in ("text", "base64", "raw")) <= most:
        return record
    return {**record, "body": {"size": body.get("size", 0), "text": "", "truncated": True}}
