"""The lines of a session, one by one or in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from mockrec.formats.files.reader import Lines
from mockrec.formats.schema.errors import SessionError

MAX_LINE = 512 * 1024 * 1024
"""A line longer than this is no record: limits the memory that a wrong file can take."""
_PIECE = 16 * 1024
"""Bytes of lines that `not_consumed` offers at once. If they are refused, each of their lines is offered alone."""


class LineBlocks:
    """The lines of a source, without their line ends. Raises `SessionError` for a line longer than `MAX_LINE`."""

    def __init__(self, source: Lines) -> None:
        self.number = 0
        """The number of lines read so far, blank ones included."""
        self._source = source
        self._current: Iterator[bytes] = iter(())
        self._blocks = self._read()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            for line in self._current:
                self.number += 1
                yield line
            block = next(self._blocks, None)
            if block is None:
                return
            self._current = iter(block.split(b"\n"))

    def not_consumed(self, take: Callable[[bytes], bool]) -> Iterator[bytes]:
        """The lines that `take` does not consume.

        `take` is called with one or more whole lines and returns True if it has consumed all of them. Otherwise it is
        called again for each single line.
        """
        yield from (line for line in self._rest_of_block() if not take(line))
        for block in self._blocks:
            for piece, lines in _pieces(block):
                if take(piece):
                    self.number += lines
                    continue
                for line in piece.split(b"\n"):
                    self.number += 1
                    if not take(line):
                        yield line

    def close(self) -> None:
        """Stop reading. The source itself stays open."""
        self._blocks.close()

    def _rest_of_block(self) -> Iterator[bytes]:
        for line in self._current:
            self.number += 1
            yield line

    def _read(self) -> Generator[bytes, None, None]:
        """Blocks of whole lines, each without its last line end."""
        pending: list[bytes] = []
        size = 0
        for chunk in self._source:
            end = chunk.rfind(b"\n")
            if end >= 0:
                yield b"".join([*pending, memoryview(chunk)[:end]])
                pending, size = [], 0
            rest = chunk[end + 1 :]
            if rest:
                pending.append(rest)
                size += len(rest)
                if size > MAX_LINE:
                    raise SessionError(self._source.name, f"no record is longer than {MAX_LINE} bytes", self.number + 1)
        if pending:
            yield b"".join(pending)


def _pieces(block: bytes) -> Iterator[tuple[bytes, int]]:
    """Split a block into whole lines of `_PIECE` bytes or a little more, each piece with its number of lines.

    Searching the line ends one by one takes half the time of `bytes.count` where lines are long.
    """
    start = 0
    while start <= len(block):
        enough, lines = start + _PIECE, 1
        end = block.find(b"\n", start)
        while 0 <= end < enough:
            lines += 1
            end = block.find(b"\n", end + 1)
        if end < 0:
            end = len(block)
        yield block[start:end], lines
        start = end + 1
