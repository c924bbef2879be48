"""Progress of a long read: one line on a terminal's stderr, rewritten a few times a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

from mockrec.cli import printing

_EVERY = 0.2
"""Seconds between two updates."""
_AFTER = 1.0
"""Seconds before the first update: a quick command shows none."""


class Progress:
    """Called with the bytes that were read. Prints nothing if stderr is not a terminal, or with --quiet."""

    def __init__(self, paths: Sequence[str], readings: int) -> None:
        self._paths = list(paths)
        self._readings = readings
        self._total: int | None = None
        self._done = 0
        self._began = time.monotonic()
        self._next = self._began + _AFTER
        self._wanted = printing.progress_wanted()
        self._shown = False
        self._lock = threading.Lock()
        """Many sessions are read by threads."""

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._wanted and time.monotonic() >= self._next:
                self._show()

    def finish(self) -> None:
        """Remove the line."""
        if self._shown:
            printing.progress("")

    def _show(self) -> None:
        now = time.monotonic()
        self._next = now + _EVERY
        self._shown = True
        if self._total is None:
            # Each file is opened for it, so it waits until there is something to show.
            sizes = list(map(_size, self._paths))
            self._total = sum(sizes) * self._readings if all(sizes) else 0
        rate = self._done / (now - self._began)
        share = f" of {printing.size(self._total)}" if self._total >= self._done else ""
        left = f", {printing.duration((self._total - self._done) / rate * 1000)} left" if share and rate else ""
        printing.progress(f"{printing.size(self._done)}{share}, {printing.size(int(rate))}/s{left}")


def _size(path: str) -> int:
    """Return the bytes of plain logs; 0 if one is in another format or has no size, so that the total is unknown."""
    from mockrec.formats.sessions.recognise import is_plain

    try:
        if not os.path.isfile(path):
            return 0
        with open(path, "rb") as file:
            return os.stat(path).st_size if is_plain(file.read(256)) else 0
    except OSError:
        return 0
