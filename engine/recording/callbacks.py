"""`record.callbacks`: calls the user's functions with typed events in the order of the log, one at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.config import RecordSettings
from mockrec.engine.recording.envelope import session_envelope
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import Failure, UserError, described

if TYPE_CHECKING:
    from mockrec.formats.schema.events import Event

MOST_WAITING = 10_000
"""Events in the queue above which traffic waits."""

Callback = Callable[["Event"], Any]


class Callbacks:
    """The queue of events and the task that calls the callbacks. `offer` never waits; while it is `full`, traffic has
    to."""

    def __init__(
        self,
        functions: Mapping[str, Callback],
        names: Mapping[str, str],
        report: Callable[[Failure], None] = lambda failure: None,
    ) -> None:
        """`functions` and `names` (as in the rule file) by event type. `report` is called with each failure."""
        self._report = report
        self._functions = dict(functions)
        self._names = names
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._arrived = anyio.Event()
        self._room = anyio.Event()
        self._idle = anyio.Event()
        self._idle.set()
        self._calling = 0
        self._group: TaskGroup | None = None
        self._add: Callable[[dict[str, Any]], None] | None = None

    def start(self, group: TaskGroup, add: Callable[[dict[str, Any]], None]) -> None:
        """Start a task in `group` that calls them; `add` gets a record for each exception they raise."""
        self._group = group
        self._add = add
        group.start_soon(self._run)

    @property
    def full(self) -> bool:
        """Whether the queue is full."""
        return len(self._waiting) >= MOST_WAITING

    def offer(self, kind: str, line: bytes) -> None:
        """Queue an event for the callback of its type, if there is one; `line` is its line in the log."""
        if kind in self._functions:
            self._waiting.append((kind, line))
            self._idle = anyio.Event() if self._idle.is_set() else self._idle
            self._arrived.set()

    async def wait_for_room(self) -> None:
        """Return when the queue is not full."""
        while self.full:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()

    async def finish(self) -> None:
        """Return when the callbacks of all queued events have returned."""
        if self._group is not None:
            await self._idle.wait()

    @property
    def left(self) -> int:
        """The number of events whose callback has not returned."""
        return len(self._waiting) + self._calling

    async def _run(self) -> None:
        # Imported where there are callbacks: to define the classes of all events takes a tenth of a start.
        from mockrec.formats.schema.events import parse_event

        while True:
            if not self._waiting:
                self._idle.set()
                self._arrived = anyio.Event()
                await self._arrived.wait()
            kind, line = self._waiting.popleft()
            self._calling = 1
            if not self.full:
                self._room.set()
            event = parse_event(orjson.loads(line))
            try:
                await call(self._functions[kind], event)
            except UserError as failed:
                self._report(failed.failure)
                self._failed(kind, event, failed.error)
            self._calling = 0

    def _failed(self, kind: str, event: Event, error: BaseException) -> None:
        if self._add is None:
            return
        record = session_envelope("callback-error", clock.now())
        event_id, connection_id = getattr(event, "id", None), getattr(event, "connection_id", None)
        if event_id:
            record["id"] = event_id
        if connection_id:
            record["connectionId"] = connection_id
        record["eventType"] = kind
        record["callback"] = self._names[kind]
        record["error"] = described(error)
        self._add(record)


def callbacks_of(
    record: RecordSettings, resolve: Callable[[str], Callback], report: Callable[[Failure], None]
) -> Callbacks | None:
    """Return the callbacks of `record.callbacks`, None if it is empty. `resolve` finds a function or raises
    ConfigError."""
    if not record.callbacks:
        return None
    functions = {kind: resolve(name) for kind, name in record.callbacks.items()}
    names = {kind: os.path.basename(name) for kind, name in record.callbacks.items()}
    return Callbacks(functions, names, report)
