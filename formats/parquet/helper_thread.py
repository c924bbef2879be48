"""The thread that controls the helper process, so that the recorder never waits for it.

A helper process takes half a second to start, may be slow, and may have to be replaced. The recorder's writer only puts
the number of a closed segment into the thread's queue.
"""

from __future__ import annotations

import queue
import threading

from mockrec.formats.parquet.helper_process import HelperProcess
from mockrec.formats.schema.errors import FormatError, OutputError


class HelperThread:
    """`convert` returns at once; the next call of a method raises its error. Used by one thread."""

    def __init__(self, helper: HelperProcess, name: str) -> None:
        """`name` is the name of the output in errors."""
        self._helper = helper
        self._name = name
        self._closed: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        """Numbers of closed segments; None ends the thread."""
        self._thread: threading.Thread | None = None
        self._failure: FormatError | None = None

    @property
    def pid(self) -> int | None:
        """The id of the helper process; None if there is none."""
        return self._helper.pid

    def convert(self, number: int) -> None:
        """Convert the segments up to this one, which are closed. Raises `OutputError`."""
        self.check()
        self._closed.put(number)
        if self._thread is None:
            # A daemon: a recorder that is killed does not wait for the helper, which then ends by itself.
            self._thread = threading.Thread(target=self._run, name="mockrec-parquet", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Raise the `OutputError` with which the helper process has failed."""
        if self._failure is not None:
            raise self._failure

    def finish(self, number: int) -> None:
        """Convert the segments up to this last one. Returns when the tables are complete and the journal is removed."""
        self._end()
        self.check()
        self._helper.finish(number)

    def stop(self) -> None:
        """End the helper process without a result."""
        self._end()
        self._helper.stop()

    def _end(self) -> None:
        if self._thread is not None:
            self._closed.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (number := self._closed.get()) is not None:
            try:
                self._helper.convert(number)
            except FormatError as error:
                self._failure = error
                return
            except Exception as error:  # if the thread ended without an error, the journal would grow for ever
                self._failure = OutputError(self._name, f"{type(error).__name__}: {error}")
                return
