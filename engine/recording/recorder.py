"""The log while it is recorded: numbers records, encodes them, gathers them into batches for the writer.

A batch is handed on when it has enough records, or 40 ms after its first one. When the disk cannot keep up,
traffic waits (`behind`), or with `drop` records are left out and counted in a `gap` record.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import anyio
import anyio.lowlevel

from mockrec.engine import clock
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.engine.recording.writer import Act, Writer
from mockrec.engine.redaction.backlog import MOST_WAITING
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.errors import FormatError

Record = dict[str, Any]

BATCH_RECORDS = 256
"""About 160 KiB of small exchanges; whoever adds a large record calls `flush`."""
BATCH_SECONDS = 0.04
QUEUE_BYTES = 16 * 1024 * 1024
"""What may wait for the disk before traffic does, unless a sink wants less."""

_LOOK_SECONDS = 0.25
"""How often the end looks whether the writer gets on."""
_NEVER_LEFT_OUT = frozenset({"session-started", "session-ended", "gap"})

_type_of = itemgetter("type")


class Recorder:
    """One session being recorded. Used by one event loop."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        drop: bool = False,
        callbacks: Callbacks | None = None,
        encode: Callable[[Sequence[Record]], bytes] = encode_lines,
        on_failure: Callable[[FormatError], None],
        numbers: bool = True,
        watch: Callable[[], None] | None = None,
    ) -> None:
        """`encode` makes lines of records; `on_failure` is called in the loop, once for each sink that takes no
        more. Without `numbers` every record has the number 0: somebody else will number them. `watch` is called in a
        thread now and then, and raises OutputError when something beside the outputs is lost."""
        self.counts: Counter[str] = Counter()
        """Records by type."""
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._encode = encode
        self._drop = drop
        self._callbacks = callbacks
        self._seq = 0
        self._step = int(numbers)
        self._records: list[Record] = []
        self._batch = 1 if callbacks is not None else BATCH_RECORDS
        self._queued = 0
        self._pending = 0
        self._timer: asyncio.TimerHandle | None = None
        self._dropped: Counter[str] = Counter()
        self.on_left_out: Callable[[Record], None] | None = None
        """Called with each record that is left out."""
        self._closed = False
        self._room = anyio.Event()
        self._waiting = False
        watches = chain([watch], repeat(None))
        self._writers = [
            (Writer(sink, self._failed, self._wrote, its), getattr(sink, "most_waiting", QUEUE_BYTES))
            for sink, its in zip(sinks, watches, strict=False)
        ]
        """With the bytes that may wait for it."""

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def add(self, record: Record) -> None:
        """Take the next record, which nobody may change afterwards; its `seq` is set here.

        What comes after the last record is refused: the session is closed.
        """
        if self._closed:
            return
        if self._drop and (self._dropped or self._is_full()) and not self._resume(record):
            return
        record["seq"] = self._seq
        self._seq += self._step
        records = self._records
        records.append(record)
        if len(records) >= self._batch:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(BATCH_SECONDS, self.flush)

    def add_lines(self, kinds: Sequence[str], pieces: Sequence[bytes]) -> None:
        """Take records that are encoded already: of each its type, and what of its line stands after the number, from
        the comma on."""
        if self._closed:
            return
        self.flush()
        numbers = [b'{"seq":%d' % number for number in range(self._seq, self._seq + len(pieces))]
        self._seq += len(pieces)
        self.counts.update(kinds)
        if self._callbacks is not None:
            for kind, number, piece in zip(kinds, numbers, pieces, strict=True):
                self._callbacks.offer(kind, number + piece)
        self._write(b"".join(chain.from_iterable(zip(numbers, pieces, strict=True))))

    def _resume(self, record: Record) -> bool:
        """Whether there is room again; then what was left out is told first."""
        kind = record["type"]
        if kind in _NEVER_LEFT_OUT:
            return True
        if self._is_full():
            self._dropped[kind] += 1
            if self.on_left_out is not None:
                self.on_left_out(record)
            return False
        self._tell_gap()
        return True

    def _tell_gap(self) -> None:
        if self._dropped:
            counts, self._dropped = dict(self._dropped), Counter()
            now = clock.timestamp(clock.now())
            self.add({"seq": 0, "type": "gap", "timestamp": now, "counts": counts})

    def flush(self) -> None:
        """Hand the batch on, however large it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        records = self._records
        if not records:
            return
        self._records = []
        self.counts.update(map(_type_of, records))
        if not self._writers and self._callbacks is None:
            return
        lines = [self._encode((record,)) for record in records] if self._callbacks else [self._encode(records)]
        if self._callbacks is not None:
            for record, line in zip(records, lines, strict=True):
                self._callbacks.offer(record["type"], line)
        self._write(b"".join(lines))

    def then(self, act: Act) -> None:
        """Do this with each sink when everything that was added before is written, in the threads that write."""
        self.flush()
        for writer, _ in self._writers:
            writer.then(act)

    def soon(self, act: Callable[[], None]) -> None:
        """Call this in the loop; for threads that write."""
        self._call(act)

    def _write(self, batch: bytes) -> None:
        self._queued += len(batch)
        for writer, _ in self._writers:
            writer.put(batch)

    # ── backpressure ───────────────────────────────────────────────────────────────────────────────

    def pending(self, size: int) -> None:
        """So many bytes more, or fewer, will be recorded when they are redacted."""
        self._pending += size
        if size < 0:
            self._wrote()

    def leave_out(self, kind: str) -> bool:
        """Whether a record of this type is left out, with `drop`, because too much waits to be redacted."""
        if not (self._drop and self._pending > MOST_WAITING):
            return False
        self._dropped[kind] += 1
        return True

    def _is_full(self) -> bool:
        if self._pending > MOST_WAITING:
            return True
        queued = self._queued
        for writer, most_waiting in self._writers:  # noqa: SIM110 - asked for every exchange
            if queued - writer.written > most_waiting:
                return True
        return False

    @property
    def behind(self) -> bool:
        """Whether traffic must wait for the log (`wait_for_room`)."""
        if self._callbacks is not None and self._callbacks.full:
            return True
        return not self._drop and self._is_full()

    async def wait_for_room(self) -> None:
        """Return when the disk and the callbacks have caught up."""
        while self.behind:
            if self._callbacks is not None and self._callbacks.full:
                await self._callbacks.wait_for_room()
                continue
            if self._room.is_set():
                self._room = anyio.Event()
            self._waiting = True
            # Looked at once more: the writer may have got ahead before it could see that somebody waits.
            if self.behind:
                await self._room.wait()

    def _wrote(self) -> None:
        if self._waiting and not self._is_full():
            self._waiting = False
            self._call(lambda: self._room.set())  # the one that is waited for by then
        if self._dropped and not self._is_full():
            self._call(self._tell_gap)  # nothing else may happen for long

    def _failed(self, error: FormatError) -> None:
        self._call(lambda: self._on_failure(error))

    def _call(self, act: Callable[[], None]) -> None:
        """From the writer's thread into the loop."""
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            pass  # the loop has ended: nobody waits any more

    # ── the end ────────────────────────────────────────────────────────────────────────────────────

    async def finish_callbacks(self) -> None:
        """Return when the callbacks have seen everything that is recorded so far."""
        self.flush()
        if self._callbacks is not None:
            await self._callbacks.finish()

    async def close(
        self, last: Callable[[], Record] | None, hurry: anyio.Event | None = None, patience: float = 2.0
    ) -> None:
        """Write the last record, if there is one, and close the outputs.

        `last` is called when everything else is recorded, so that it can hold the final counts. An output that takes
        nothing for `patience` seconds, or is not closed when `hurry` is set, is given up, which is a failure.
        """
        self._tell_gap()
        self.flush()  # counted when they are flushed, and the last record holds the counts
        if last is not None:
            self.add(last())
        self._closed = True
        self.flush()
        for writer, _ in self._writers:
            writer.finish()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for writer, _ in self._writers:
                    group.start_soon(self._await_writer, writer, hurry, patience)
            await anyio.lowlevel.checkpoint()  # what the threads said at their ends has been heard

    def close_now(self, last: Callable[[], Record], until: float) -> bool:
        """The same from another thread, while the event loop is held up; whether all is written by then (in the
        clock's milliseconds)."""
        self._batch = 1  # no timer of a loop that hangs
        self._tell_gap()
        self.flush()
        self.add(last())
        self._closed = True
        self.flush()
        for writer, _ in self._writers:
            writer.finish()
        return all(writer.join(max(until - clock.now(), 0) / 1000) for writer, _ in self._writers)

    async def _await_writer(self, writer: Writer, hurry: anyio.Event | None, patience: float) -> None:
        """Return when the writer is done, or takes too long: it may be held up by a reader who does not read."""
        done = anyio.Event()
        writer.on_end(lambda: self._call(done.set))
        at, since = writer.progress, anyio.current_time()
        while not done.is_set():
            with anyio.move_on_after(_LOOK_SECONDS):
                await done.wait()
                return
            if writer.join(0):
                return
            now = anyio.current_time()
            if writer.progress != at:
                at, since = writer.progress, now
            is_stuck = not writer.closing and now - since > max(patience, _LOOK_SECONDS)
            if is_stuck or (hurry is not None and hurry.is_set() and now - since > _LOOK_SECONDS):
                error = writer.given_up()
                if error is not None:
                    self._on_failure(error)
                return
