"""The sink of a JSON Lines output that may go on in another file: at a size or an age, or when it was renamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mockrec.formats.files.frames import FrameSink
from mockrec.formats.files.jsonl import JsonlSink
from mockrec.formats.files.part_names import part_path

FileSink = JsonlSink | FrameSink

_LINES_OF_A_START = 2
"""A part with fewer says no more than that it begins."""


class PartSink:
    """Writes to one file after another; see `formats/files/frames.py`, `Sink`.

    That a part is over is said in records, which are numbered elsewhere. So this only asks for the next part
    (`on_due`), and begins it when the records that say so are written (`begin`).
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
        """`open_file` opens a file, also over an existing one if its second argument says so. Raises `OutputError`."""
        self.name = path
        self.on_due: Callable[[int], None] = lambda number: None
        """Called in the thread that writes, once a part, with its number: it is large or old enough."""
        self._open = open_file
        self._most_bytes = most_bytes
        self._most_ms = most_ms
        self._number = 1
        self._path = path
        self._sink = open_file(path, force)
        self._lines = 0
        self._begun_at: float | None = None
        self._asked = False

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
        """Whether the file that is written has lost its name. May be asked in another thread."""
        return not self._sink.file.is_named(Path(self._path))

    @property
    def path(self) -> str:
        """The name of the file that is written, unless it was renamed."""
        return self._path

    def write(self, data: bytes) -> None:
        """Take whole lines. Raises `OutputError`."""
        self._sink.write(data)
        if self._lines < _LINES_OF_A_START:
            self._lines += data.count(b"\n")

    def sync_point(self, now: float | None = None) -> None:
        """See `Sink`; and ask for the next part if this one is large or old enough."""
        self._sink.sync_point(now)
        if now is None:
            return
        if self._begun_at is None:
            self._begun_at = now
        if self._asked or self._lines < _LINES_OF_A_START:  # a part in which nothing has happened stays the last one
            return
        too_large = self._most_bytes is not None and self._sink.file.size >= self._most_bytes
        if too_large or (self._most_ms is not None and now - self._begun_at >= self._most_ms):
            self._asked = True
            self.on_due(self._number)

    def begin(self, number: int) -> None:
        """Everything of the part before is written: begin this one. Raises `OutputError`."""
        self._number = number
        self._replace(part_path(self.name, number), force=False)

    def begin_again(self, number: int) -> None:
        """The same under the name that the file had, if it was renamed."""
        self._number = number
        if self.is_moved:
            # Who renames logs often makes an empty file in their place, with the right owner.
            path = Path(self._path)
            self._replace(self._path, force=path.is_file() and path.stat().st_size == 0)

    def close(self) -> None:
        """Write what is left and close the file. Raises `OutputError`; may be called twice."""
        self._sink.close()

    def _replace(self, path: str, *, force: bool) -> None:
        self._sink.close()
        self._sink = self._open(path, force)
        self._path = path
        self._lines, self._begun_at, self._asked = 0, None, False
