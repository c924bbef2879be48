"""The thread that looks after the helper process, so that what is recorded never waits for it.

A helper takes half a second to start, and may be slow or have to be replaced; the recorder's writer only leaves the
number of the segment that it has closed.
"""

from __future__ import annotations

import queue
import threading

from mockrec.formats.parquet.helper_process import HelperProcess
from mockrec.formats.schema.errors import FormatError, OutputError


class HelperThread:
    """`convert` returns at once; what went wrong is raised by the next call of a method. Used by one thread."""

    def __init__(self, helper: HelperProcess, name: str) -> None:
        """`name` is the output, for errors."""
        self._helper = helper
        self._name = name
        self._closed: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        """Numbers of closed segments; None: there is nothing more to convert."""
        self._thread: threading.Thread | None = None
        self._failure: FormatError | None = None

    @property
    def pid(self) -> int | None:
        """Of the helper process, while there is one."""
        return self._helper.pid

    def convert(self, number: int) -> None:
        """Segments up to this one will not change any more. Raises `OutputError`."""
        self.check()
        self._closed.put(number)
        if self._thread is None:
            # A daemon: a recorder that has to go does not wait for a helper, which ends by itself then.
            self._thread = threading.Thread(target=self._run, name="mockrec-parquet", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Raises the `OutputError` with which the helper has given up."""
        if self._failure is not None:
            raise self._failure

    def finish(self, number: int) -> None:
        """This is the last segment. Returns when the tables are complete and the journal is gone."""
        self._end()
        self.check()
        self._helper.finish(number)

    def stop(self) -> None:
        """Nothing will be asked of the helper any more."""
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
            except Exception as error:  # a thread that dies in silence would let the journal grow for ever
                self._failure = OutputError(self._name, f"{type(error).__name__}: {error}")
                return
