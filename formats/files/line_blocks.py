"""The lines of a session, one by one or in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from mockrec.formats.files.reader import Lines
from mockrec.formats.schema.errors import SessionError

MAX_LINE = 512 * 1024 * 1024
"""A line longer than this is no record: bounds the memory a wrong file can take."""
_PIECE = 16 * 1024
"""Bytes of lines that are offered at once: of a piece that is refused each line is looked at."""


class LineBlocks:
    """Iterate it for the lines without their line ends. Raises `SessionError` for a line beyond `MAX_LINE`."""

    def __init__(self, source: Lines) -> None:
        self.number = 0
        """Lines that were given so far, blank ones included."""
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

    def left_by(self, take: Callable[[bytes], bool]) -> Iterator[bytes]:
        """The lines that `take` leaves.

        It is called with one or more whole lines, and returns True for having read them all; otherwise it is called
        again for each of them.
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
        """Let go of the file."""
        self._blocks.close()

    def _rest_of_block(self) -> Iterator[bytes]:
        for line in self._current:
            self.number += 1
            yield line

    def _read(self) -> Generator[bytes, None, None]:
        """Blocks of whole lines, the last one without its line end."""
        begun: list[bytes] = []
        size = 0
        for chunk in self._source:
            end = chunk.rfind(b"\n")
            if end >= 0:
                yield b"".join([*begun, memoryview(chunk)[:end]])
                begun, size = [], 0
            rest = chunk[end + 1 :]
            if rest:
                begun.append(rest)
                size += len(rest)
                if size > MAX_LINE:
                    raise SessionError(self._source.name, f"no record is longer than {MAX_LINE} bytes", self.number + 1)
        if begun:
            yield b"".join(begun)


def _pieces(block: bytes) -> Iterator[tuple[bytes, int]]:
    """Whole lines of `_PIECE` bytes or a little more, and how many lines they are.

    Line ends are looked for one by one, which takes half of the time that counting bytes does where lines are long.
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
