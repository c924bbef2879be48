"""The sink of a JSON Lines output that is split into parts: at a size or an age, or after the file was renamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mockrec.formats.files.frames import FrameSink
from mockrec.formats.files.jsonl import JsonlSink
from mockrec.formats.files.part_names import part_path

FileSink = JsonlSink | FrameSink

_LINES_OF_A_START = 2
"""The records with which a part begins. A part with fewer has no content yet."""


class PartSink:
    """Writes to one file after another; see `Sink` in `formats/files/frames.py`.

    Records say where a part ends and the next one begins, and only the recorder numbers records. So the sink requests a
    new part (`on_due`), and begins it (`begin`) when the recorder has written these records.
    """

    def __init__(
        self,
        path: str,
        open_file: Callable[[str, bool], FileSink],
        *,
        most_bytes: int | None = None,
        most_ms: float | None = None,
        force: bool = False,
    ) -> None:
        """`open_file(path, force)` opens a file, with `force` over an existing one. Raises `OutputError`."""
        self.name = path
        self.on_due: Callable[[int], None] = lambda number: None
        """Called once for each part when it is large or old enough, with its number, in the writing thread."""
        self._open = open_file
        self._most_bytes = most_bytes
        self._most_ms = most_ms
        self._number = 1
        self._path = path
        self._sink = open_file(path, force)
        self._lines = 0
        self._begun_at: float | None = None
        self._requested = False

    @property
    def most_at_once(self) -> int:
        """See `Sink`."""
        return 1024 * 1024 if self._sink.file.is_regular else 64 * 1024

    @property
    def locked(self) -> bool:
        """False where the file system has no locks."""
        return self._sink.locked

    @property
    def is_moved(self) -> bool:
        """Whether the file that is written was renamed. May be called from another thread."""
        return not self._sink.file.is_named(Path(self._path))

    @property
    def path(self) -> str:
        """The path of the part that is written, as it was opened."""
        return self._path

    def write(self, data: bytes) -> None:
        """Write whole lines. Raises `OutputError`."""
        self._sink.write(data)
        if self._lines < _LINES_OF_A_START:
            self._lines += data.count(b"\n")

    def sync_point(self, now: float | None = None) -> None:
        """See `Sink`; request the next part if this one is large or old enough."""
        self._sink.sync_point(now)
        if now is None:
            return
        if self._begun_at is None:
            self._begun_at = now
        if self._requested or self._lines < _LINES_OF_A_START:  # a part without content stays the last one
            return
        too_large = self._most_bytes is not None and self._sink.file.size >= self._most_bytes
        if too_large or (self._most_ms is not None and now - self._begun_at >= self._most_ms):
            self._requested = True
            self.on_due(self._number)

    def begin(self, number: int) -> None:
        """Begin part `number`; every record of the part before has been written. Raises `OutputError`."""
        self._number = number
        self._replace(part_path(self.name, number), force=False)

    def begin_again(self, number: int) -> None:
        """Begin part `number` under the same path, if the file of the last part was renamed."""
        self._number = number
        if self.is_moved:
            # A log rotator may have made an empty file in its place, with the right owner.
            path = Path(self._path)
            self._replace(self._path, force=path.is_file() and path.stat().st_size == 0)

    def close(self) -> None:
        """Write the waiting lines and close the file. Raises `OutputError`; may be called twice."""
        self._sink.close()

    def _replace(self, path: str, *, force: bool) -> None:
        self._sink.close()
        self._sink = self._open(path, force)
        self._path = path
        self._lines, self._begun_at, self._requested = 0, None, False
