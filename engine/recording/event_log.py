"""The way of a record into the log: its bodies are encoded, its secrets replaced, and it is added in order.

`ExchangeLog` and its parts build records and add every one of them here, with `EventLog.add`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from mockrec.engine import clock
from mockrec.engine.recording.backpressure import Backpressure
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.owner import Owner
from mockrec.engine.recording.record_cache import LogForm
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog, BacklogOwner, TooMuch, completed
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.formats.files.jsonl import encode_value
from mockrec.formats.schema.lifecycle import DEFAULT_EVENTS, EVENT_TYPES

ALWAYS = frozenset({"session-started", "session-ended", "gap"})
"""Event types that are recorded even if `record.events` does not list them: they delimit the session and its gaps."""

MakeBody = Callable[[BodyEncoder], Record]
"""Makes the log form of a body, in the event loop or in the thread of the `Backlog`. May raise TooMuch."""
PendingBody = tuple[Record, str, MakeBody]
"""A body of a record that is still to be made: the object that it belongs to, its key there, and its maker."""


class Log(Protocol):
    """The destination of records: the recorder, in a running program."""

    def add(self, record: Record) -> None:
        """Take the next record and set its `seq`. The record is not changed afterwards."""

    def flush(self) -> None:
        """Hand the batch to the writers now."""


class LineLog(Log, Protocol):
    """A log that takes records which are encoded already, too."""

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        """Take the next record: its type, its id, and its line after the number."""


class BoundedLog(LineLog, Backpressure, Protocol):
    """A log that can fall behind the traffic."""


def wanted_types(events: str | Iterable[str]) -> frozenset[str]:
    """Return the event types that `record.events` selects."""
    if events == "default":
        return frozenset(DEFAULT_EVENTS)
    return frozenset(EVENT_TYPES if events == "all" else events) | ALWAYS


class EventLog:
    """Redacts records and adds them to the log, each owner's in the order in which they happened."""

    def __init__(self, log: LineLog, bodies: BodyEncoder, redactor: Redactor | None, backlog: Backlog | None) -> None:
        """`bodies` has the same `redactor`; without one, secrets stay. What takes long goes to the `backlog`."""
        self.redactor = redactor
        self.bodies = bodies
        self.flush = log.flush
        self.add_line = log.add_line
        """Adds a record that needs no more work, because `is_plain` said so."""
        self._write = log.add
        self._backlog = backlog
        self._looks_everywhere = redactor is not None and redactor.looks_everywhere

    def add(
        self,
        record: Record,
        owner: Owner,
        parts: Sequence[PendingBody] = (),
        *,
        head: LogForm | None = None,
        redacted: bool = False,
    ) -> None:
        """Make the `parts` of a record, replace its secrets, and add it. The `owner` remembers the secrets of all of
        it, for its later records.

        `head`: the log form that the record contains, of a head or an event's data. `redacted`: everything in the
        record that may introduce a secret is such a form or one of the `parts`, each redacted on its own. What is left
        to replace then are the secrets known from other records of the owner.
        """
        own = None if head is None else head.secrets
        if own is not None:
            self._remember(owner, own)
        # Tags may hold secrets (a client may have set them), and an expression of `record.redact` may match any field.
        redacted = redacted and not (owner.tags != owner.plain_tags or self._looks_everywhere)
        # Most records need no more work: the owner knows no secrets, or only those of this head, where they have been
        # replaced. (`remember` keeps the first object that it gets, until other secrets join it.)
        if redacted and owner.known is own and not parts and not owner.waiting and (own is None or not owner.tags):
            self._write(record)
        else:
            self._redact_and_add(record, owner, parts, redacted)

    def is_plain(self, owner: Owner, head: LogForm | None = None) -> bool:
        """Return whether a record that contains `head`, and else nothing that may introduce a secret, needs no more
        work; see `add`. The owner remembers the secrets of the head; if the record is added by `add`, then without the
        head."""
        own = None if head is None else head.secrets
        if own is not None:
            self._remember(owner, own)
        is_searched = owner.tags == owner.plain_tags and not self._looks_everywhere
        return owner.known is own and is_searched and not owner.waiting

    def search_tags(self, owner: Owner) -> None:
        """Search the tags of an owner once for secrets: if there are none, its records can be plain (`is_plain`).

        Tags that are added later are searched in each record, as all are without this call.
        """
        if owner.tags == owner.plain_tags:
            return
        text = encode_value(owner.tags)
        # An escaped text may be a form of a secret; records with such tags are searched field by field.
        if b"\\" not in text and (self.redactor is None or self.redactor.is_plain(b'"tags":' + text, None)):
            owner.note_plain(text)

    def add_plain(self, kind: str, record_id: str, line: bytes, head: LogForm) -> bool:
        """Add the line of a record that `is_plain`, unless a secret of its head occurs in the rest of it (the TLS
        metadata of its client, a rule's id). Return whether it was added."""
        if head.secrets is not None and head.secrets.occurs_in_line(line):
            return False
        self.add_line(kind, record_id, line)
        return True

    def made_now(self, make: MakeBody, size: int) -> Record | None:
        """Return the log form of a body of `size` bytes that does not hold the event loop; None for another."""
        if size > AT_ONCE:
            return None
        try:
            return make(self.bodies)
        except TooMuch:  # it was compressed
            return None

    def _redact_and_add(self, record: Record, owner: Owner, parts: Sequence[PendingBody], redacted: bool) -> None:
        """Do the work of `add` now, or leave it to the thread of the backlog if it takes long there, or if earlier
        records of the owner wait there."""
        made = 0
        if not owner.waiting:
            try:
                for place, key, make in parts:
                    place[key] = make(self.bodies)
                    made += 1
                self._write(record if self.redactor is None else _redact(self.redactor, record, owner, redacted))
                return
            except TooMuch:
                pass
        self.add_later(owner, record, parts[made:], lambda redactor, _: _redact(redactor, record, owner, redacted))

    def add_later(
        self,
        owner: BacklogOwner,
        record: Record,
        parts: Sequence[PendingBody],
        redact: Callable[[Redactor, BodyEncoder], Record | None],
        size: int = AT_ONCE,
    ) -> None:
        """Make the `parts` of a record and redact it in the thread of the backlog, after all that waits there for the
        same `owner`; then add what `redact` returns, if not None. `size`: the bytes to redact, roughly."""
        assert self.redactor is not None
        assert self._backlog is not None
        if self._backlog.leaves_out(record["type"]):
            return
        redactor = self.redactor.unbounded()
        bodies = self.bodies.unbounded(redactor)

        def work() -> Record | None:
            for place, key, make in parts:
                place[key] = make(bodies)
            data = record.get("eventData")
            if data is not None:
                record["eventData"] = completed(data, bodies)
            return redact(redactor, bodies)

        def done(redacted: Record | None) -> None:
            assert self.redactor is not None
            self.redactor.count += redactor.count
            self.bodies.truncated += bodies.truncated
            if redacted is not None:
                redacted["timestamp"] = clock.timestamp(clock.now())  # other records were added meanwhile
                self._write(redacted)
                self.flush()

        self._backlog.put(owner, work, done, size)

    def _remember(self, owner: Owner, secrets: SecretMap) -> None:
        """Count the secrets of a shared log form in one more record, and let the owner remember them."""
        if self.redactor is not None:
            self.redactor.count += secrets.count
        self.after_pending(owner, lambda: owner.remember(secrets))

    def after_pending(self, owner: Owner, act: Callable[[], None]) -> None:
        """Call `act` when all records of the owner so far have been added."""
        if owner.waiting and self._backlog is not None:
            self._backlog.put(owner, lambda: None, lambda _: act(), 0)
        else:
            act()


def _redact(redactor: Redactor, record: Record, owner: SecretScope, redacted: bool) -> Record:
    """Return the record without secrets, or if it is `redacted`, without those known to the owner. Raises TooMuch."""
    if not redacted:
        return redactor.record(record, owner)
    return record if owner.known is None else redactor.replace_known(record, owner.known)
