"""Controls the helper process: starts it, sends it the numbers of closed segments, and waits for its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mockrec.formats.parquet.paths import segments
from mockrec.formats.schema.errors import OutputError, OutputExistsError

_STARTS = 3
"""How often a killed helper process is started. If all of them are killed, there is a lasting cause."""
_EXISTS = 4
_NICENESS = 5


class HelperProcess:
    """The helper process of one recording; a process that is killed is replaced. Methods raise `OutputError`."""

    def __init__(self, path: str, journal: Path, *, file_mode: int, force: bool) -> None:
        self._path = path
        self._journal = journal
        self._options = (oct(file_mode), "force" if force else "keep")
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0

    @property
    def pid(self) -> int | None:
        """The id of the process; None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process and wait until it has checked the output."""
        while not self._is_ready():
            assert self._process is not None
            if self._process.wait() >= 0 or self._started >= _STARTS:
                self._fail()
            self._close_pipes()
        self._options = (self._options[0], "ours")

    def _is_ready(self) -> bool:
        self._started += 1
        # In a session of its own: Ctrl-C in the terminal ends the recorder, which then sends `end`.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mockrec.formats.parquet.helper", self._path, self._journal, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
        _run_after_traffic(self._process.pid)
        assert self._process.stdout is not None
        return self._process.stdout.readline() == b"ready\n"

    def convert(self, number: int) -> None:
        """Convert the segments up to this one, which are closed."""
        if self._process is not None and not self._send(f"closed {number}\n"):
            self._process.kill()
            self._process.wait()
            self._close_pipes()
        if self._process is None and self._started < _STARTS:
            self.start()
            self._send(f"closed {number}\n")

    def finish(self, number: int) -> None:
        """Convert the segments up to this last one. Returns when the tables are complete and the journal is removed."""
        while True:
            if self._process is None:
                self.start()
            assert self._process is not None
            if self._send(f"closed {number}\nend\n"):
                self._process.stdin.close()  # type: ignore[union-attr]
            code = self._process.wait()
            if code == 0 or not self._journal.exists():  # removing the journal is the last step
                self._close_pipes()
                return
            if self._started >= _STARTS or code > 0:
                self._fail()
            self._close_pipes()

    def stop(self) -> None:
        """End the process: no record was written."""
        if self._process is not None:
            self._process.stdin.close()  # type: ignore[union-attr]
            self._process.wait()
            self._close_pipes()

    def _send(self, text: str) -> bool:
        """Write a line to the process. False if it has ended."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except (OSError, ValueError):  # ValueError: its stdin is closed on our side
            return False
        return True

    def _fail(self) -> None:
        """Raise an error with the last line of the process's stderr."""
        assert self._process is not None
        assert self._process.stderr is not None
        output = self._process.stderr.read().decode("utf-8", "replace").strip()
        code = self._process.wait()
        self._close_pipes()
        if code == _EXISTS:
            raise OutputExistsError(self._path)
        reason = output.rpartition("\n")[2] or f"the helper process ended with {code}"
        if segments(self._journal):
            reason += f" (the recording is in {self._journal})"
        raise OutputError(self._path, reason)

    def _close_pipes(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                try:
                    if pipe is not None:
                        pipe.close()
                except OSError:
                    pass  # the next process gets the lines that this one did not read


def _run_after_traffic(pid: int) -> None:
    """Lower the priority of a helper before it has imported anything: the imports alone take half a second."""
    if hasattr(os, "setpriority"):
        try:
            os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS))
        except OSError:
            pass  # the process has ended, or the system does not allow it; the helper works at any priority
