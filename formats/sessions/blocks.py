"""A session's lines in blocks, for readers that need few of them and may have to read twice.

`Session` parses one record after another. `Blocks` gives bytes, so that a filter decodes only the fields it needs, and
copies lines as they are.
"""

from __future__ import annotations

import os
import stat
import tempfile
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from mockrec.formats.files.line_blocks import MAX_LINE
from mockrec.formats.har.atomic_file import may_grow
from mockrec.formats.parquet.paths import has_segments
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.session import check_version, header_of

_IN_MEMORY = 32 * 1024 * 1024
"""Bytes of a stream that are kept in memory for the second reading; more are kept in an unnamed temporary file."""
_SMALL = 1024 * 1024
"""Bytes of a file that is kept in memory for several readings in a row."""
_UNPACKED = 4 * _SMALL
"""Bytes of its lines."""
_CHUNK = 1024 * 1024
SMALLEST = 64 * 1024
"""Bytes of a block, unless it is the last one, or the reader sets more."""

Progress = Callable[[int], None]
"""Called with the number of bytes that were read since the last call."""


def no_progress(_: int) -> None:
    """Do nothing: no progress is shown."""


class Blocks:
    """The lines of one session. Can be read several times, also from a pipe."""

    def __init__(self, path: str, progress: Progress = no_progress) -> None:
        self.path = path
        self.name = "stdin" if path == "-" else path
        self.torn = ""
        """Empty, or a sentence about the frame that is cut off. Set by the first reading."""
        self.problems: list[str] = []
        """What was left out, one sentence for each problem. Set by the first reading."""
        self.notes: list[str] = []
        """What was repaired, one sentence for each repair. Set by the first reading."""
        self.header: dict[str, Any] | None = None
        """The `session-started` record; None before the first block is read."""
        self.smallest = SMALLEST
        """Bytes of a block, unless it is the last one."""
        self._progress = progress
        self._spool: IO[bytes] | None = None
        self._read_before = False
        self._imported = False
        """Whether it is a cassette or a flow file, which is faster to keep than to convert twice."""
        self._kept: list[bytes] | None = None
        """The blocks of a small file, for several readings in a row."""
        self._sizes = array("Q")
        """Bytes of each block. The second reading gives equal blocks, however its reads are cut."""

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Context for several readings in a row: a small file is read once, and kept in memory for all of them.

        Raises `SessionError`.
        """
        self._kept = self._all_if_small()
        try:
            yield
        finally:
            self._kept = None

    @property
    def is_kept(self) -> bool:
        """Whether a reading reads no file."""
        return self._kept is not None

    def _all_if_small(self) -> list[bytes] | None:
        if not _is_small(self.path):
            return None
        blocks: list[bytes] = []
        size = 0
        reading = self._read()
        for block in reading:
            size += len(block)
            if size > _UNPACKED:  # it is compressed, or has further parts
                reading.close()
                return None
            blocks.append(block)
        return blocks

    def close(self) -> None:
        """Remove the copy that was kept of a stream."""
        if self._spool is not None:
            self._spool.close()

    def __iter__(self) -> Iterator[bytes]:
        """Blocks of whole lines, in order; only the last block may lack its line end. Raises `SessionError`.

        The second reading ends where the first one ended, even if the session has grown in between.
        """
        if not self._read_before:
            yield from self._first_reading()
        else:
            yield from self._second_reading()

    def probe(self) -> dict[str, Any] | None:
        """Read the `session-started` record now, unless it is a stream. Raises `SessionError` if it is no session."""
        if self._kept and self.header is None:
            self._look_at_header(self._kept[0])
        elif self.header is None and not self._read_before and not _is_stream(self.path):
            source = open_source(self.path)
            try:
                for block in _whole_lines(source, self.name):
                    self._look_at_header(block)
                    break
            finally:
                source.close()
        return self.header

    def lines_before(self, offset: int) -> int:
        """The number of lines that end before an offset that was read before. Reads the session again up to there."""
        count = 0
        for block in self._second_reading():
            if offset <= 0:
                break
            offset -= len(block)
            count += block.count(b"\n")
        return count

    def _first_reading(self) -> Iterator[bytes]:
        # In a HAR that is being recorded the last entries change until the second reading; in Parquet, journal segments
        # become rows in between.
        if self._kept is None and (_is_stream(self.path) or may_grow(self.path) or has_segments(self.path)):
            # The temporary file has no name, and holds only bytes of the session.
            self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        for block in self._from_source():
            if not self._sizes:
                self._look_at_header(block)
                if self._imported and self._spool is None:
                    self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it
            self._sizes.append(len(block))
            if self._spool is not None:
                self._spool.write(block)
            yield block
        self._read_before = True

    def _second_reading(self) -> Iterator[bytes]:
        if self._spool is None:
            yield from _recut(self._from_source(), self._sizes)
            return
        self._spool.seek(0)
        for size in self._sizes:
            yield self._spool.read(size)

    def _from_source(self) -> Iterator[bytes]:
        for block in self._read() if self._kept is None else self._kept:
            self._progress(len(block))
            yield block

    def _read(self) -> Generator[bytes]:
        source = open_source(self.path)
        try:
            for block in _whole_lines(source, self.name, self.smallest):
                self._imported = getattr(source, "imported", False)
                yield block
            self.torn = source.torn
            self.problems = list(getattr(source, "problems", ()))
            self.notes = list(getattr(source, "notes", ()))
        finally:
            source.close()

    def _look_at_header(self, block: bytes) -> None:
        header = header_of(block)
        if header is not None:
            self.header = header
            check_version(self.name, header)


def _is_small(path: str) -> bool:
    """Whether a name is that of a small file. What is still being recorded, or has a journal, may be read again."""
    try:
        known = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(known.st_mode) and known.st_size <= _SMALL and not may_grow(path) and not has_segments(path)


def _is_stream(path: str) -> bool:
    if path == "-":
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _whole_lines(chunks: Iterable[bytes], name: str, smallest: int = SMALLEST) -> Iterator[bytes]:
    """Cut chunks at line ends. Small chunks are joined, because each block has a fixed cost."""
    pieces: list[bytes | memoryview] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        end = chunk.rfind(b"\n") + 1
        if end and size >= smallest:
            pieces.append(chunk if end == len(chunk) else memoryview(chunk)[:end])
            yield b"".join(pieces)
            rest = chunk[end:]
            pieces, size = ([rest], len(rest)) if rest else ([], 0)
            continue
        pieces.append(chunk)
        if size > MAX_LINE:
            raise SessionError(name, f"a line is longer than {MAX_LINE // 1024**2} MiB")
    if rest := b"".join(pieces):
        yield rest


def _recut(blocks: Iterable[bytes], sizes: Iterable[int]) -> Iterator[bytes]:
    """Cut blocks to these sizes. Most have them already; those of a file that has grown may not."""
    source = iter(blocks)
    rest = b""
    for size in sizes:
        pieces, held = [rest], len(rest)
        while held < size and (block := next(source, None)) is not None:
            pieces.append(block)
            held += len(block)
        whole = b"".join(pieces) if len(pieces) > 2 or rest else pieces[-1]
        rest = whole[size:]
        yield whole[:size] if rest else whole
