"""The one thread that writes: takes batches of whole lines and hands each to every sink."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from mockrec.engine import clock
from mockrec.formats.errors import FormatError, OutputError
from mockrec.formats.frames import Sink

_SYNC_SECONDS = 0.05


class Writer:
    """Counts what it has written, so that others can tell how far it is behind."""

    def __init__(self, sinks: Sequence[Sink], failed: Callable[[FormatError], None], wrote: Callable[[], None]) -> None:
        """`failed` and `wrote` are called in the thread: for a sink that takes no more, and after each batch."""
        self.written = 0
        """Bytes taken from the queue and written, or given up. Changed by the thread alone."""
        self.progress = 0
        """Grows with everything that the thread has brought behind it."""
        self.closing = False
        """Whether everything is written, and the sinks are being closed: for some that is work."""
        self._ended: list[Callable[[], None]] = []
        self._sinks = list(sinks)
        self._open = list(sinks)
        self._failed = failed
        self._wrote = wrote
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mockrec-writer", daemon=True)
        self._thread.start()

    def put(self, lines: bytes) -> None:
        """Queue a batch."""
        self._queue.put(lines)

    def finish(self) -> None:
        """No more batches will come: the thread writes what is queued and closes the sinks."""
        self._queue.put(None)

    def join(self, seconds: float | None = None) -> bool:
        """Wait until the thread is done, but not longer than that; whether it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def on_end(self, call: Callable[[], None]) -> None:
        """Call it, in some thread, when this one is done."""
        self._ended.append(call)
        if not self._thread.is_alive():
            call()

    def given_up(self) -> Sequence[OutputError]:
        """Nobody waits any longer: what is to be said of each sink that is not done."""
        why = "it was not closed in time; what was written of it stays" if self.closing else "it takes no more"
        return [OutputError(sink.name, why) for sink in self._open]

    def _run(self) -> None:
        finished = False
        while not finished:
            try:
                batches = [self._queue.get(timeout=_SYNC_SECONDS)]
            except queue.Empty:
                # Compressed logs close a frame that has become old, also while nothing happens.
                self._each(lambda sink: sink.sync_point(clock.now()))
                continue
            # Everything that waits goes out in one write: a busy loop lets this thread run only now and then.
            while not self._queue.empty():
                batches.append(self._queue.get())
            finished = None in batches
            lines = b"".join([batch for batch in batches if batch is not None])
            self._each(lambda sink, lines=lines: sink.write(lines))  # type: ignore[misc]
            self._each(lambda sink: sink.sync_point(clock.now()))
            self.written += len(lines)
            self.progress += 1
            self._wrote()
        self.closing = True
        for sink in self._sinks:
            self._close(sink)
            self.progress += 1
        for call in self._ended:
            call()

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except FormatError as error:
            if sink in self._open:
                self._failed(error)
        except Exception as error:
            if sink in self._open:
                self._failed(OutputError(sink.name, f"{type(error).__name__}: {error}"))
        else:
            if sink in self._open:
                self._open.remove(sink)

    def _each(self, act: Callable[[Sink], None]) -> None:
        for sink in list(self._open):
            try:
                act(sink)
            except FormatError as error:
                self._give_up(sink, error)
            except Exception as error:  # a thread that dies in silence would lose everything that follows
                self._give_up(sink, OutputError(sink.name, f"{type(error).__name__}: {error}"))

    def _give_up(self, sink: Sink, error: FormatError) -> None:
        self._open.remove(sink)
        self._failed(error)
