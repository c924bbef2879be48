"""Computes the answers to a plan's tests for each line of a session, a block of lines at a time.

A whole block is decoded at once, only the needed fields of it. A block with a line that this decoder rejects (a bad or
blank line, a value of another JSON type than mockrec writes) is read again line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import orjson

from mockrec.formats.query.extract import Context
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import DecodeError, compile_typed
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.blocks import Blocks


@dataclass(slots=True)
class ProbedRecord:
    """A record that was read line by line, with the attributes of `NeededFields`."""

    type: str
    id: Any
    bits: int
    """The answers of its tests."""


Answers: TypeAlias = tuple[list[Any], Callable[[Any], int]]
"""`NeededFields` or `ProbedRecord` for each record, and the function that returns the answers of one."""


class DecodedBlock(Protocol):
    """What a decoder has made of a block: mostly the list of its records."""

    def __len__(self) -> int:
        """The number of records."""

    def __getitem__(self, index: Literal[-1]) -> Any:
        """The last record, which has a `type`."""


BlockDecoder: TypeAlias = Callable[[Iterable[bytes]], Iterator[tuple[bytes, DecodedBlock | None]]]
"""Yields each block with its records, in order; None for a block that has to be read line by line. May read ahead."""


class Answerer:
    """Computes the answers of one session's lines, in order."""

    def __init__(self, plan: Plan, blocks: Blocks, context: Context, decoder: BlockDecoder | None = None) -> None:
        """`decoder` decodes blocks to other records than the plan needs."""
        self.torn = ""
        """Empty, or a sentence about the last line, if that is cut off."""
        self.last_kind = ""
        """The type of the last record that was read."""
        self._blocks = blocks
        self._typed = compile_typed(plan, context)
        self._decoder = decoder or decoder_of(self._typed.decode_lines)
        self._predicate = compile_predicate(plan, context)
        self._offset = 0

    def __iter__(self) -> Iterator[tuple[bytes, Answers]]:
        """Each block with the answers of its records. Blank lines and a torn last line have no record.

        Raises `SessionError` for any other line that is no record.
        """
        decoded = self._decoder(self._blocks)
        current = next(decoded, None)
        while current is not None:
            following = next(decoded, None)
            block, records = current
            answers: Any = (records, self._typed.bits)
            if records is None:
                answers = self._decode_each(block, last=following is None)
            self._offset += len(block)
            if answers[0]:
                self.last_kind = answers[0][-1].type
            yield block, answers
            current = following

    def _decode_each(self, block: bytes, *, last: bool) -> Answers:
        records: list[ProbedRecord] = []
        lines = block.split(b"\n")
        for place, raw in enumerate(lines):
            if not raw.strip():
                continue
            try:
                record = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                if last and not b"".join(lines[place + 1 :]).strip():
                    self.torn = f"line {self._number(place)} is cut off"
                    break
                raise self._bad(f"expected a record ({error})", place) from None
            if not isinstance(record, dict) or not isinstance(record.get("type"), str):
                raise self._bad("expected an object with a type", place)
            records.append(ProbedRecord(record["type"], record.get("id"), self._predicate(record)))
        return records, _bits

    def _number(self, place: int) -> int:
        """The number of a line in the session. Only errors need it: counting every line takes too much time."""
        return self._blocks.lines_before(self._offset) + place + 1

    def _bad(self, message: str, place: int) -> SessionError:
        return SessionError(self._blocks.name, message, self._number(place))


def decoder_of(decode_lines: Callable[[bytes], list[Any]]) -> BlockDecoder:
    """Return a decoder of blocks by a function that decodes one."""

    def decoder(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, list[Any] | None]]:
        for block in blocks:
            yield block, decoded(decode_lines, block)

    return decoder


def decoded(decode_lines: Callable[[bytes], list[Any]], block: bytes) -> list[Any] | None:
    """Return the records of a block; None if the function rejects it."""
    try:
        return decode_lines(block)
    except (DecodeError, RecursionError):  # RecursionError: values that are nested too deeply
        return None


def lines_of(block: bytes, count: int, name: str) -> list[bytes]:
    """The lines of a block that has `count` records. Raises `SessionError` if it has another number of lines."""
    lines = block.split(b"\n")
    if len(lines) - (not lines[-1]) != count:
        lines = [line for line in lines if line.strip()]
        # A torn last line is one more line, and no record.
        if len(lines) not in (count, count + 1):
            raise SessionError(name, "not every record is on a line of its own")
    return lines


def line_ends(block: bytes) -> list[int]:
    """The place of each line end of a block, and its length if the last line has none.

    Takes a fraction of the time of `split` and `count`, which look at each byte on its own.
    """
    ends = []
    end = block.find(b"\n")
    while end >= 0:
        ends.append(end)
        end = block.find(b"\n", end + 1)
    if not block.endswith(b"\n"):
        ends.append(len(block))
    return ends


def lines_at(block: bytes, count: int, name: str, places: Sequence[int]) -> list[bytes]:
    """The lines at these places, in ascending order, of a block that has `count` records.

    Raises `SessionError` if it has another number of lines, also for no places.
    """
    ends = line_ends(block)
    if len(ends) != count:
        lines = lines_of(block, count, name)
        return [lines[place] for place in places]
    return [block[ends[place - 1] + 1 if place else 0 : ends[place]] for place in places]


def _bits(record: ProbedRecord) -> int:
    return record.bits
