"""Outputs that are pipes: waits for the readers of named ones, says so, and stops waiting at any signal; knows whether
the reader of stdout has gone."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from typing import Final

from mockrec.cli import printing
from mockrec.formats.files.outfile import STDOUT_NAME, is_pipe
from mockrec.formats.schema.errors import FormatError, OutputClosedError, OutputError

_PAUSE_SECONDS: Final = 0.02
_held: Final[list[int]] = []
"""Descriptors kept open until the process ends: a reader of a pipe without writers reads end of file."""


def await_readers(outputs: Iterable[str]) -> None:
    """Return when each output that is a named pipe has a reader. Raises OutputError."""
    for output in outputs:
        if output != "-" and is_pipe(output):
            _await_reader(output)


def is_stdout_gone(failure: FormatError) -> bool:
    """Whether the reader of stdout has gone, which needs no message."""
    return isinstance(failure, OutputClosedError) and failure.file == STDOUT_NAME


def _await_reader(pipe: str) -> None:
    printed = False
    while True:
        try:
            _held.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if not is_pipe(pipe):
                raise OutputError(pipe, "the named pipe is gone") from None
            if error.errno != errno.ENXIO:
                raise OutputError(pipe, error.strerror or str(error)) from None
        else:
            return
        if not printed:
            printing.note(f"waiting for a reader of {printing.escape(pipe)} (a named pipe)")
            printed = True
        time.sleep(_PAUSE_SECONDS)
