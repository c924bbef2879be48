"""Numbers and encodes the records of a session, and passes them to the writers in batches.

A batch is passed on when it is large, or 30 ms after its first record. When the disk cannot keep up, traffic
waits (`behind`), or with `drop` records are left out and counted in a `gap` record.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from typing import ClassVar

import anyio
import anyio.lowlevel

from mockrec.engine import clock
from mockrec.engine.recording.callbacks import Callbacks
from mockrec.engine.recording.envelope import Record, session_envelope
from mockrec.engine.recording.numbering import numbered
from mockrec.engine.recording.session_secrets import SessionSecrets
from mockrec.engine.recording.writer import Act, Writer
from mockrec.engine.recording.writer_end import LOOK_SECONDS, end_of_writer
from mockrec.engine.redaction.backlog import MOST_WAITING
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.jsonl import encode_line
from mockrec.formats.schema.errors import FormatError

BATCH_BYTES = 960 * 1024
"""Bytes after which a batch is passed on, usually by its time before that. Each batch costs a change of threads, for
which a writer waits up to twice 5 ms, and whenever the loop's thread releases the interpreter meanwhile, it is woken in
vain."""
SMALL_BATCH_BYTES = 128 * 1024
"""The same while secrets of the session have to be replaced in batches, which takes the loop some 10 ns a byte."""
BATCH_SECONDS = 0.03
LARGE = 32 * 1024
"""Bytes of a line that is not copied into the batch, but kept as it is until the batch is passed on."""
QUEUE_BYTES = 16 * 1024 * 1024
"""Bytes that may wait for the disk before traffic waits, unless a sink allows fewer."""

_NEVER_LEFT_OUT = frozenset({"session-started", "session-ended", "gap"})


class Recorder:
    """The recorder of one session. Used by one event loop; `WorkerRecorder` is that of a worker process."""

    step: ClassVar[int] = 1
    """The difference between the numbers of two records."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        drop: bool = False,
        callbacks: Callbacks | None = None,
        session_secrets: SessionSecrets | None = None,
        on_failure: Callable[[FormatError], None],
        watch: Callable[[], None] | None = None,
    ) -> None:
        """`on_failure` is called in the loop, once for each sink that fails; `watch` is called in a thread now and
        then, and raises OutputError if files of the outputs are lost."""
        self.counts: Counter[str] = Counter()
        """The number of records by type."""
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._session_secrets = session_secrets
        self._drop = drop
        self._callbacks = callbacks
        self._seq = 0
        self._lines = bytearray()
        """The batch. Kept as bytes and not as records: memory that is used again at once stays in the caches."""
        self._earlier: list[bytes | bytearray] = []
        """Lines of the batch before those, among them large ones."""
        self._earlier_size = 0
        self._kinds: list[str] = []
        """The types of its records."""
        self._ids: list[str] = []
        """The ids of its records; empty for those of the session."""
        self._queued = 0
        self._pending = 0
        self._timer: asyncio.TimerHandle | None = None
        self.can_defer = not drop and callbacks is None
        """Whether `defer` may be called: no record is left out, and no callback waits for each."""
        self._deferred: Callable[[], None] | None = None
        """Adds records that come before all that are added from now on."""
        self._dropped: Counter[str] = Counter()
        self.tap: Callable[[bytes], None] | None = None
        """Called with each batch of encoded lines, secrets replaced, when it is passed to the writers."""
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
        """Each with the bytes that may wait for it."""
        self._most_bytes = 1 if callbacks is not None else min([BATCH_BYTES, *(most // 4 for _, most in self._writers)])
        """Bytes of a batch."""
        if session_secrets is not None and session_secrets.holds_values:
            self._most_bytes = min(self._most_bytes, SMALL_BATCH_BYTES)

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def add(self, record: Record) -> None:
        """Number a record and add it to the batch. It must not be changed afterwards. After the last record of the
        session, it is ignored."""
        if self._deferred is not None:
            self._add_deferred()
        if self._closed:
            return
        if self._drop and (self._dropped or self._is_full()) and not self._resume(record):
            return
        record["seq"] = self._seq
        self._append(record["type"], record.get("id", ""), encode_line(record))

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        """Do the same with a record that is encoded already: its type, its id, and its line after the number."""
        if self._deferred is not None:
            self._add_deferred()
        if self._closed:
            return
        if self._drop and (self._dropped or self._is_full()) and not self._resume({"type": kind, "id": record_id}):
            return
        self._append(kind, record_id, b'{"seq":%d' % self._seq, rest)

    def _append(self, kind: str, record_id: str, line: bytes, rest: bytes = b"") -> None:
        self._seq += self.step
        lines, kinds = self._lines, self._kinds
        kinds.append(kind)
        self._ids.append(record_id)
        if len(line) + len(rest) > LARGE:
            self._add_large(line, rest)
        else:
            lines += line
            lines += rest
        if len(lines) >= self._most_bytes or self._earlier_size >= self._most_bytes:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(BATCH_SECONDS, self.flush)

    def _add_large(self, *lines: bytes) -> None:
        """Add a large line, or several lines, which the caller counts."""
        self._earlier += (self._lines, *lines)
        self._earlier_size += len(self._lines) + sum(map(len, lines))
        self._lines = bytearray()

    def defer(self, add: Callable[[], None]) -> None:
        """Call `add` before the next record is added and before the batch is passed on, unless `add_joined` comes
        first. It adds the records that happened before. Only for a recorder that `can_defer`."""
        if self._deferred is not None:
            self._add_deferred()
        self._deferred = add
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(BATCH_SECONDS, self.flush)

    @property
    def next_number(self) -> int:
        """The number of the next record if none is deferred; those that follow it are `step` apart."""
        return self._seq

    def add_joined(self, kinds: Sequence[str], ids: Sequence[str], lines: bytes) -> None:
        """Add records instead of those that are deferred: their types, their ids, and their whole lines, with numbers
        from `next_number` on."""
        self._deferred = None
        if self._closed:
            return
        self._seq += self.step * len(kinds)
        self._kinds += kinds
        self._ids += ids
        if len(lines) > LARGE:
            self._add_large(lines)
        else:
            self._lines += lines
        if len(self._lines) >= self._most_bytes or self._earlier_size >= self._most_bytes:
            self.flush()

    def _add_deferred(self) -> None:
        add, self._deferred = self._deferred, None
        assert add is not None
        add()

    def add_lines(self, kinds: Sequence[str], lines: bytes) -> None:
        """Number and append lines encoded by a worker, which begin with `UNNUMBERED`, and have these types."""
        if self._closed or not kinds:
            return
        self.flush()
        lines = numbered(lines, self._seq)
        self._seq += len(kinds)
        self.counts.update(kinds)
        if self._callbacks is not None:
            for kind, line in zip(kinds, lines.splitlines(keepends=True), strict=True):
                self._callbacks.offer(kind, line)
        self._write(lines)

    def _resume(self, record: Record) -> bool:
        """Return whether there is room for a record again; then the gap before it has been recorded. If not, the record
        is counted as left out."""
        kind = record["type"]
        if kind in _NEVER_LEFT_OUT:
            return True
        if self._is_full():
            self._dropped[kind] += 1
            if self.on_left_out is not None:
                self.on_left_out(record)
            return False
        self._add_gap()
        return True

    def _add_gap(self) -> None:
        if self._dropped:
            counts, self._dropped = dict(self._dropped), Counter()
            self.add(session_envelope("gap", clock.now()) | {"counts": counts})

    def flush(self) -> None:
        """Pass the batch to the writers, however small it is."""
        if self._deferred is not None:
            self._add_deferred()
        if self._kinds:
            self._hand_over()
        else:
            self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self) -> None:
        """Pass the lines of the batch to the writers, and begin the next one."""
        self._stop_timer()
        kinds, ids, lines = self._kinds, self._ids, b"".join((*self._earlier, self._lines))
        self._kinds, self._ids, self._lines = [], [], bytearray()
        self._earlier, self._earlier_size = [], 0
        self.counts.update(kinds)
        if not self._writers and self._callbacks is None and self.tap is None:
            return
        secrets = self._session_secrets
        if secrets is not None and secrets.holds_values:
            lines = secrets.lines(lines)
            self._most_bytes = min(self._most_bytes, SMALL_BATCH_BYTES)
        if self._callbacks is not None:
            for kind, line in zip(kinds, lines.splitlines(keepends=True), strict=True):
                self._callbacks.offer(kind, line)
        self._write(self._packed(kinds, ids, lines))

    def _packed(self, kinds: Sequence[str], ids: Sequence[str], lines: bytes) -> bytes:
        """Return what the sinks get of the lines of records with these types and ids."""
        return lines

    def run_in_writers(self, act: Act) -> None:
        """Call `act` with each sink in the thread of its writer, after everything that was added so far is written."""
        self.flush()
        for writer, _ in self._writers:
            writer.then(act)

    async def written(self) -> int:
        """Return when every record added so far is written and can be read, and its last number; -1 without records."""
        self.flush()
        last = self._seq - self.step
        waiting = [(writer, anyio.Event()) for writer, _ in self._writers]
        for writer, event in waiting:
            writer.then(partial(self._show, event))
        for writer, event in waiting:
            while not (event.is_set() or writer.has_failed or writer.join(0)):
                with anyio.move_on_after(LOOK_SECONDS):
                    await event.wait()
        return last

    def _show(self, shown: anyio.Event, sink: Sink) -> None:
        """In the thread of a writer: make what is written readable."""
        try:
            sink.sync_point(None)
        finally:
            self.call_soon(shown.set)

    @property
    def queued(self) -> int:
        """The bytes that wait for the slowest writer."""
        return max((self._queued - writer.written for writer, _ in self._writers), default=0)

    def _write(self, batch: bytes) -> None:
        self._queued += len(batch)
        if self.tap is not None:
            self.tap(batch)
        for writer, _ in self._writers:
            writer.put(batch)

    # ── backpressure ───────────────────────────────────────────────────────────────────────────────

    def pending(self, size: int) -> None:
        """Add `size` bytes, which may be negative, to those that wait for redaction in the thread of the backlog."""
        self._pending += size
        if size < 0:
            self._wrote()

    def leave_out(self, kind: str) -> bool:
        """Return whether a record of this type is left out, with `drop`, because too much waits for redaction."""
        if not (self._drop and self._pending > MOST_WAITING):
            return False
        self._dropped[kind] += 1
        return True

    def _is_full(self) -> bool:
        if self._pending > MOST_WAITING:
            return True
        queued = self._queued
        for writer, most_waiting in self._writers:  # noqa: SIM110 - called for every exchange
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
            # Checked again: the writer may have caught up before it could see `_waiting`.
            if self.behind:
                await self._room.wait()

    def _wrote(self) -> None:
        if self._waiting and not self._is_full():
            self._waiting = False
            self.call_soon(lambda: self._room.set())  # not `_room.set`: a later event may be waited for by then
        if self._dropped and not self._is_full():
            self.call_soon(self._add_gap)  # the next record may be long in coming

    def _failed(self, error: FormatError) -> None:
        self.call_soon(lambda: self._on_failure(error))

    def call_soon(self, act: Callable[[], None]) -> None:
        """Call `act` in the event loop; for the threads of writers."""
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            pass  # the loop has ended, and with it all that could wait

    # ── the end ────────────────────────────────────────────────────────────────────────────────────

    async def finish_callbacks(self) -> None:
        """Return when the callbacks of all records so far have returned."""
        self.flush()
        if self._callbacks is not None:
            await self._callbacks.finish()

    async def close(
        self, last: Callable[[], Record] | None, hurry: anyio.Event | None = None, patience: float = 2.0
    ) -> None:
        """Write the last record, if there is one, and close the outputs.

        `last` is called after everything else is recorded, so that its record has the final counts. An output that
        makes no progress for `patience` seconds, or is not closed when `hurry` is set, is given up, which is a failure.
        """
        self._add_gap()
        self.flush()  # `counts`, which the last record contains, is updated by a flush
        if last is not None:
            self.add(last())
        self._closed = True
        self.flush()
        for writer, _ in self._writers:
            writer.finish()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for writer, _ in self._writers:
                    group.start_soon(self._await_end, writer, hurry, patience)
            await anyio.lowlevel.checkpoint()  # lets the last calls from the threads run

    def close_now(self, last: Callable[[], Record], until: float) -> bool:
        """Close from another thread while the event loop is blocked. Return whether all is written at `until` (in
        monotonic milliseconds)."""
        self._most_bytes = 1  # the timer of a blocked loop does not run
        self._add_gap()
        self.flush()
        self.add(last())
        self._closed = True
        self.flush()
        for writer, _ in self._writers:
            writer.finish()
        return all(writer.join(max(until - clock.now(), 0) / 1000) for writer, _ in self._writers)

    async def _await_end(self, writer: Writer, hurry: anyio.Event | None, patience: float) -> None:
        error = await end_of_writer(writer, self.call_soon, hurry, patience)
        if error is not None:
            self._on_failure(error)
