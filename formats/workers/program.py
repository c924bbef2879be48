"""The program of a worker: reads blocks from stdin, calls one function with each, and writes what it returns to stdout.

Started as `python -P -m mockrec.formats.workers.program MODULE:FUNCTION`. It writes `READY` first, so that the caller
sees if anything else in this process writes to stdout. Blocks and results are preceded by their length. A function
that raises has an empty result; the caller then does the work itself and gets the same error.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import IO

READY = b"mockrec worker\n"
LENGTH_BYTES = 8
_PIECE = 1024 * 1024
"""Bytes that are asked for at a time, so that a pipe that ends early takes no memory."""


def main(name: str) -> None:
    """Serve until stdin ends, which it does when the caller has ended, too."""
    # Ctrl-C in a terminal is for the caller, which then closes stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module, _, function = name.partition(":")
    work: Callable[[bytes], bytes] = getattr(importlib.import_module(module), function)
    source = os.fdopen(os.dup(0), "rb")
    # Buffered also with PYTHONUNBUFFERED, whose files may write less than they are given. Whatever else is printed goes
    # to stderr.
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    target.write(READY)
    target.flush()
    while (block := read_frame(source)) is not None:
        try:
            result = work(block)
        except Exception:  # the caller repeats the work, and gets the same exception
            result = b""
        try:
            write_frame(target, result)
        except OSError:  # the caller has ended
            return


def read_frame(source: IO[bytes]) -> bytes | None:
    """Read the next frame; None at the end of the pipe, also in the middle of a frame."""
    head = source.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    left = int.from_bytes(head)
    pieces: list[bytes] = []
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            return None
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def write_frame(target: IO[bytes], data: bytes) -> None:
    """Write a frame. Raises `OSError` if the other side has ended."""
    target.write(len(data).to_bytes(LENGTH_BYTES))
    target.write(data)
    target.flush()


if __name__ == "__main__":
    main(sys.argv[1])
