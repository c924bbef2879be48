"""The thread that writes one output: takes batches of whole lines and passes them to its sink.

Each output has a thread of its own, so that a slow one (a HAR takes twenty times as long as JSON Lines, a Parquet file
is made at the end) never keeps another one's lines in memory, where a kill would lose them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from mockrec.engine import clock
from mockrec.formats.files.frames import Sink
from mockrec.formats.files.outfile import CHECK_MS
from mockrec.formats.schema.errors import FormatError, OutputError

_SYNC_SECONDS = 0.05
_PIECE = 64 * 1024
"""Bytes that a sink is given at once: the buffer of a pipe."""

Act = Callable[[Sink], None]
"""An action on a sink between two batches. May raise `OutputError`."""


def _pieces(lines: bytes, size: int) -> Iterator[bytes]:
    """Split a batch into whole lines of about `size` bytes, so that a slow reader of a pipe can be distinguished from
    one that hangs."""
    start = 0
    while len(lines) - start > size:
        end = lines.find(b"\n", start + size) + 1 or len(lines)
        yield lines[start:end]
        start = end
    if start < len(lines):
        yield lines[start:]


class Writer:
    """Writes batches in a thread of its own. `written` shows the recorder how much of the queue is left."""

    def __init__(
        self,
        sink: Sink,
        failed: Callable[[FormatError], None],
        wrote: Callable[[], None],
        watch: Callable[[], None] | None = None,
    ) -> None:
        """`failed` and `wrote` are called in the thread: once when the sink fails, and after each batch. `watch` is
        called in it now and then, and raises `OutputError` if files that belong to the output are lost."""
        self.written = 0
        """Bytes taken from the queue and written, or discarded after a failure. Changed by the thread alone."""
        self.progress = 0
        """Grows with each step of the thread, so that one that hangs is noticed."""
        self.closing = False
        """Whether everything is written and the sink is being closed, which takes some formats long."""
        self._sink = sink
        self._piece = getattr(sink, "most_at_once", _PIECE)
        self.has_failed = False
        """Whether the sink has failed, so that nothing more is written."""
        self._ended: list[Callable[[], None]] = []
        self._failed = failed
        self._wrote = wrote
        self._watch = watch
        self._watch_at = 0.0
        self._queue: queue.SimpleQueue[bytes | Act | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mockrec-writer", daemon=True)
        self._thread.start()

    def put(self, lines: bytes) -> None:
        """Queue a batch."""
        self._queue.put(lines)

    def then(self, act: Act) -> None:
        """Call `act` with the sink after all batches so far are written, and before the next one."""
        self._queue.put(act)

    def finish(self) -> None:
        """No more batches will come: the thread writes what is queued and closes the sink."""
        self._queue.put(None)

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the end of the thread, at most `seconds`. Return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def on_end(self, call: Callable[[], None]) -> None:
        """Call `call` when the thread has ended, in either thread."""
        self._ended.append(call)
        if not self._thread.is_alive():
            call()

    def given_up(self) -> OutputError | None:
        """The recorder stops waiting for this thread. Return the error to report; None if the sink's failure was
        reported."""
        if self.has_failed:
            return None
        why = "it was not closed in time; what was written of it stays" if self.closing else "it takes no more"
        return OutputError(self._sink.name, why)

    def _run(self) -> None:
        finished = False
        while not finished:
            try:
                batches = [self._queue.get(timeout=_SYNC_SECONDS)]
            except queue.Empty:
                # Compressed logs finish a frame of a certain age, also while no records are added.
                self._sync()
                continue
            # All waiting batches in one write: while the event loop is busy, this thread runs only now and then.
            while not (callable(batches[-1]) or self._queue.empty()):
                batches.append(self._queue.get())
            finished = None in batches
            lines = b"".join([batch for batch in batches if isinstance(batch, bytes)])
            for piece in _pieces(lines, self._piece):
                self._do(lambda piece=piece: self._sink.write(piece))  # type: ignore[misc]
                self.written += len(piece)
                self.progress += 1
            act = batches[-1]
            if act is not None and not isinstance(act, bytes):
                self._do(lambda act=act: act(self._sink))  # type: ignore[misc]
            self._sync()
            self._wrote()
        self.closing = True
        if self._watch is not None:
            self._do(self._watch)
        self._try(self._sink.close)  # also if it has failed
        self.progress += 1
        for call in self._ended:
            call()

    def _sync(self) -> None:
        now = clock.now()
        self._do(lambda: self._sink.sync_point(now))
        if self._watch is not None and now >= self._watch_at:
            self._watch_at = now + CHECK_MS
            self._do(self._watch)

    def _do(self, act: Callable[[], None]) -> None:
        """Run an action on the sink, unless the sink has failed: then it is only closed."""
        if not self.has_failed:
            self._try(act)

    def _try(self, act: Callable[[], None]) -> None:
        error: FormatError
        try:
            act()
            return
        except FormatError as found:
            error = found
        except Exception as found:  # a thread that ends silently would lose all that follows
            error = OutputError(self._sink.name, f"{type(found).__name__}: {found}")
        had_failed, self.has_failed = self.has_failed, True
        if not had_failed:
            self._failed(error)
