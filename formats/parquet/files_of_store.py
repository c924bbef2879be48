"""Parquet files of an object store that a listing has found: their sizes are known, so small ones need one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mockrec.formats.parquet.whole_objects import ReadWhole

if TYPE_CHECKING:
    from mockrec.formats.parquet.files import EventsFile

WHOLE = 4 * 1024 * 1024
"""Bytes up to which a file is read whole, in one request. Of a larger one, the footer and the columns are read."""


@dataclass(slots=True)
class StoredFile:
    """A file of a store. Its content is kept between `fetch` and `release`."""

    filesystem: Any
    path: str
    size: int
    """Bytes."""
    content: Any = field(default=None, repr=False, compare=False)
    """A buffer of pyarrow; None if the file is not in memory."""
    metadata: Any = field(default=None, repr=False, compare=False)
    """The footer, parsed when the file was first opened."""
    read_whole: ReadWhole | None = field(default=None, repr=False, compare=False)
    """Reads the file in one request, where that is possible."""

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rpartition("/")[2]

    @property
    def is_small(self) -> bool:
        """Whether the file is read whole."""
        return 0 < self.size <= WHOLE

    def fetch(self) -> None:
        """Read a small file into memory. Raises `OSError`."""
        if self.content is not None or not self.is_small:
            return
        if self.read_whole is not None:
            self.content = self.read_whole(self.path, self.size)
        if self.content is None:
            with self.filesystem.open_input_file(self.path) as file:
                self.content = file.read_buffer(self.size)

    def release(self) -> None:
        """Forget the content."""
        self.content = None

    def open(self, name: str, dictionaries: Sequence[str] = ()) -> EventsFile:
        """Open the table of events. `dictionaries`: columns that are read as dictionaries.

        Raises `SessionError`, or `FileNotFoundError`.
        """
        import pyarrow as pa

        from mockrec.formats.parquet.files import EventsFile

        if self.content is not None:
            opened = EventsFile(name, None, pa.BufferReader(self.content), dictionaries, metadata=self.metadata)
        else:
            opened = EventsFile(name, self.filesystem, self.path, dictionaries, metadata=self.metadata)
        self.metadata = opened.parquet.metadata
        return opened


class FoundSession(str):
    """The name of a session that a listing has found in a store, with its files.

    Everywhere it is the name; where files are opened, those of the listing are used.
    """

    files: tuple[StoredFile, ...]
    """Parquet files with all events, in order; empty if the session has to be read in another way."""

    def __new__(cls, name: str, files: tuple[StoredFile, ...] = ()) -> FoundSession:
        made = super().__new__(cls, name)
        made.files = files
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return FoundSession, (str(self), ())
