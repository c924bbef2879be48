"""Whether COMMAND has paused its output, so that lines of mockrec do not cut into it.

mockrec does not read COMMAND's output, which goes to the terminal directly. On Linux, the kernel counts the bytes that
each process has written (`/proc/PID/io`); elsewhere COMMAND counts as writing until it ends.
"""

from __future__ import annotations

import time
from pathlib import Path

_PROC = Path("/proc")
_PAUSE_SECONDS = 0.15
"""COMMAND has paused if it has written nothing for so long."""
_MOST_PROCESSES = 64


class OutputWatch:
    """Watches what a process and its children write."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._written: dict[int, int] | None = None
        self._changed_at = time.monotonic()

    def is_paused(self) -> bool:
        """Whether none of them has written anything for a moment. To be called a few times a second."""
        written = _written_by(self._pid)
        now = time.monotonic()
        if written != self._written:
            self._written, self._changed_at = written, now
        return written is not None and now - self._changed_at >= _PAUSE_SECONDS


def _written_by(pid: int) -> dict[int, int] | None:
    """Return the bytes that a process and its children have written; None if the system does not say."""
    found: dict[int, int] = {}
    waiting = [pid]
    while waiting and len(found) < _MOST_PROCESSES:
        one = waiting.pop()
        if one in found:
            continue
        try:
            text = (_PROC / str(one) / "io").read_text(encoding="ascii")
            found[one] = int(text.partition("wchar: ")[2].partition("\n")[0])
            for children in (_PROC / str(one) / "task").glob("*/children"):
                waiting += map(int, children.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            if one == pid:
                return None
    return found
