"""What `mockrec watch` knows of a session: the newest exchanges, which of them match, and their records.

Memory is bounded: the newest exchanges are kept, and of their records no more than `MOST_BYTES`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mockrec.cli import arguments
from mockrec.formats.query.extract import Context
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.schema.lifecycle import ENDING_TYPES
from mockrec.formats.sessions.rows import Row, rows_of

MOST_EXCHANGES = 10_000
MOST_BYTES = 64 * 1024 * 1024
MOST_OF_ONE = 8 * 1024 * 1024
"""Bytes of the records of one exchange that are kept; the rest is only counted."""
_MESSAGES = ("websocket-message-received", "websocket-message-sent")
_RAW_ONLY = ("session-started", "session-ended", "rules-reloaded")


@dataclass(eq=False, slots=True)
class Watched:
    """One exchange, tunnel or fault."""

    row: Row
    lines: list[bytes] = field(default_factory=list)
    """Its records, as JSON."""
    size: int = 0
    left_out: int = 0
    """Records that are not kept, because there are too many."""
    bits: int = 0
    """Tests of the filter that one of its records has passed."""
    messages: int = 0
    """WebSocket messages so far."""
    is_open: bool = True
    matches: bool = True

    @property
    def has_failed(self) -> bool:
        """Whether it is a failure: a fault of a client or connection, an abort, or a status of 5xx."""
        return self.row.kind in ("abort", "client-error", "tls-client-error", "callback-error", "gap") or (
            self.row.status is not None and self.row.status >= 500
        )


class WatchModel:
    """The exchanges of a session. `add` is called by the reading thread, the rest by the screen."""

    def __init__(self, expression: str = "", *, errors_first: bool = True, folder: Path | None = None) -> None:
        self.errors_first = errors_first
        self.count = 0
        self.failed = 0
        self.dropped = 0
        """Exchanges that are no longer kept."""
        self.ended = ""
        """Why the session has ended; empty while it is recorded."""
        self.changes = 0
        """Grows with every change of what is shown."""
        self._context = Context(folder)
        self._lock = threading.Lock()
        self._by_id: dict[str, Watched] = {}
        self._kept: deque[Watched] = deque()
        self._bytes = 0
        self._bits_of: Callable[[Any], int] = lambda record: 0
        self._decide: Callable[[int], bool] = lambda bits: True
        self.filter(expression)

    def filter(self, expression: str) -> None:
        """Show only what matches. Raises FilterError, and keeps the expression before."""
        plan = arguments.parse(expression.strip() or None)
        with self._lock:
            if plan is None:
                self._bits_of, self._decide = (lambda record: 0), (lambda bits: True)
            else:
                self._bits_of, self._decide = compile_predicate(plan, self._context), plan.decide
            for one in self._kept:
                one.bits = 0
                for line in one.lines:
                    one.bits |= self._bits_of(orjson.loads(line))
                one.matches = self._decide(one.bits)
            self.changes += 1

    def add(self, raw: bytes, record: dict[str, Any]) -> None:
        """Add a record in the order of the session."""
        kind, identity = record["type"], record.get("id")
        with self._lock:
            self.changes += 1
            if kind in _RAW_ONLY:
                if kind == "session-ended":
                    self.ended = str(record.get("reason", "ended"))
                return
            known = self._by_id.get(identity) if isinstance(identity, str) else None
            if known is None:
                known = Watched(Row("open", identity if isinstance(identity, str) else ""))
                self._kept.append(known)
                if isinstance(identity, str):
                    self._by_id[identity] = known
            self._update(known, raw, kind, record)
            self._forget()

    def _update(self, known: Watched, raw: bytes, kind: str, record: dict[str, Any]) -> None:
        if known.size < MOST_OF_ONE:
            known.lines.append(raw)
            known.size += len(raw)
            self._bytes += len(raw)
        else:
            known.left_out += 1
        if kind in _MESSAGES:
            known.messages += 1
            known.row.note = f"{known.messages} messages"
        row = next(rows_of([(0, record)]), None)
        if row is not None:
            had_failed = known.has_failed
            note = known.row.note
            known.row = row if row.id or not known.row.id else known.row
            known.row.note = row.note if row.note != "has no end" else note
            if row.kind != "open" and known.is_open:
                known.is_open = False
                self.count += 1
            self.failed += known.has_failed and not had_failed
        if kind in ENDING_TYPES or not known.row.id:
            known.is_open = False
        known.bits |= self._bits_of(record)
        known.matches = self._decide(known.bits)

    def _forget(self) -> None:
        while len(self._kept) > MOST_EXCHANGES or (self._bytes > MOST_BYTES and len(self._kept) > 1):
            oldest = self._kept.popleft()
            self._bytes -= oldest.size
            self._by_id.pop(oldest.row.id, None)
            self.dropped += 1

    def shown(self) -> list[Watched]:
        """Return what matches, in the order of the table."""
        with self._lock:
            found = [one for one in self._kept if one.matches]
        if self.errors_first:
            return [*(one for one in found if one.has_failed), *(one for one in found if not one.has_failed)]
        return found

    def records(self, one: Watched) -> list[dict[str, Any]]:
        """Return the records of an exchange."""
        with self._lock:
            lines = list(one.lines)
        return [orjson.loads(line) for line in lines]
