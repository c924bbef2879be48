"""The exchanges since the last reset, in memory: the lines of their records, as they go into the log.

Lines are kept as they come, and read when somebody asks. The oldest are left out when there are too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from mockrec.engine.ids import new_id
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.predicate import CompileChecks, compile_predicate
from mockrec.formats.schema.lifecycle import TERMINAL_TYPES, Unit, types_where

MOST_BYTES: Final = 64 * 1024 * 1024
_EXCHANGE_TYPES = types_where(lambda row: row.unit is Unit.EXCHANGE) - {"request-body-data", "response-body-data"}


class _Key(msgspec.Struct, gc=False):
    type: str
    id: str = ""


_keys = msgspec.json.Decoder(_Key).decode


class StoredExchange:
    """The lines of one exchange."""

    __slots__ = ("ended", "lines", "size")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.size = 0
        self.ended = False

    def records(self) -> list[dict[str, Any]]:
        """Return its records, in the order of the log."""
        return [orjson.loads(line) for line in self.lines]


class ExchangeStore:
    """The exchanges that `/v1/exchanges` returns. `add`, `take` and `reset` take no time; `select` reads everything."""

    def __init__(self, bodies_folder: Path | None) -> None:
        self.context = Context(bodies_folder)
        self._batches: deque[bytes] = deque()
        """Batches of lines that are not in `_exchanges` yet."""
        self._new_size = 0
        self._exchanges: dict[str, StoredExchange] = {}
        self._size = 0
        self.begins_at = ""
        """Exchanges with an id before this one began before the last reset."""

    def add(self, batch: bytes) -> None:
        """Take a batch of lines of the log."""
        self._batches.append(batch)
        self._new_size += len(batch)
        while self._new_size > MOST_BYTES and len(self._batches) > 1:
            self._new_size -= len(self._batches.popleft())

    def take(self) -> list[bytes]:
        """Return the batches that `select` has to be given."""
        batches, self._batches, self._new_size = list(self._batches), deque(), 0
        return batches

    def reset(self) -> None:
        """Forget every exchange that has begun."""
        self.take()
        self._exchanges = {}
        self._size = 0
        self.begins_at = new_id()

    def select(
        self,
        batches: list[bytes],
        plan: Plan | None,
        scope: str | None,
        limit: int | None,
        compile_checks: CompileChecks = compile_any,
    ) -> list[list[dict[str, Any]]]:
        """Return the records of the exchanges that have ended and match, in the order in which they began.

        `batches` are what `take` has returned. May run in another thread, while `add` is called, but not twice at once.
        """
        self._sort(batches)
        matches = None if plan is None else _matcher(plan, self.context, compile_checks)
        found: list[list[dict[str, Any]]] = []
        for exchange in list(self._exchanges.values()):
            if limit is not None and len(found) >= limit:
                break
            if not exchange.ended:
                continue
            records = exchange.records()
            if scope is not None and not any(record.get("scope") == scope for record in records):
                continue
            if matches is None or matches(records):
                found.append(records)
        return found

    @property
    def size(self) -> int:
        """The bytes that `select` has to read, roughly."""
        return self._size + self._new_size

    def _sort(self, batches: list[bytes]) -> None:
        """Sort the lines of batches by exchange."""
        exchanges = self._exchanges
        for batch in batches:
            for line in batch.splitlines():
                kind, identity = _key_of(line)
                if kind not in _EXCHANGE_TYPES or identity < self.begins_at:
                    continue
                exchange = exchanges.get(identity)
                if exchange is None:
                    exchange = exchanges[identity] = StoredExchange()
                exchange.lines.append(line)
                exchange.size += len(line)
                self._size += len(line)
                exchange.ended |= kind in TERMINAL_TYPES
        for identity in self._oldest():
            self._size -= exchanges.pop(identity).size

    def _oldest(self) -> Iterator[str]:
        """Yield the exchanges to leave out, the oldest first, while there are too many bytes."""
        for identity in list(self._exchanges):
            if self._size <= MOST_BYTES:
                return
            yield identity


def _key_of(line: bytes) -> tuple[str, str]:
    try:
        key = _keys(line)
    except msgspec.MsgspecError:  # a record of another form, such as one of the session without an id
        return "", ""
    return key.type, key.id


def _matcher(plan: Plan, context: Context, compile_checks: CompileChecks) -> Any:
    """Return a function that says whether the records of an exchange match."""
    bits_of = compile_predicate(plan, context, compile_checks)
    counted = [(1 << number, kinds, compile_any(plan.tests[number].checks)) for number, kinds in plan.counted.items()]

    def matches(records: list[dict[str, Any]]) -> bool:
        bits = 0
        for record in records:
            bits |= bits_of(record)
        for bit, kinds, holds in counted:
            if holds(sum(record["type"] in kinds for record in records)):
                bits |= bit
        return plan.decide(bits)

    return matches
