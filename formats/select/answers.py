"""Blocks of lines → for each line its type, its id and the answers to a plan's tests.

The quick way decodes a whole block at once. A block with a line that is not what the quick way expects (a bad
line, a blank one, an object where mockrec writes none) is read again line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from mockrec.formats.query.extract import Context
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import DecodeError, compile_typed
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.blocks import Blocks


@dataclass(slots=True)
class ProbedRecord:
    """What the slow way makes of a line: the same attributes as the quick way's objects."""

    a0: str
    """The type."""
    a1: Any
    """The id."""
    bits: int


Answers: TypeAlias = tuple[list[Any], Callable[[Any], int]]
"""An object for each record, with its type and id as `a0` and `a1`, and the function that answers the tests for it."""


class Answerer:
    """Answers a plan's tests for the lines of one session, in order."""

    def __init__(self, plan: Plan, blocks: Blocks, context: Context) -> None:
        self.torn = ""
        """Empty, or a sentence about the last line, which is cut off."""
        self.last_kind = ""
        """The type of the last record."""
        self._blocks = blocks
        self._typed = compile_typed(plan, context)
        self._predicate = compile_predicate(plan, context)
        self._offset = 0

    def __iter__(self) -> Iterator[tuple[bytes, Answers]]:
        """Each block with the answers for its records; blank lines have none, nor has a torn last one.

        Raises `SessionError` for any other line that is no record.
        """
        ahead = iter(self._blocks)
        block = next(ahead, None)
        while block is not None:
            following = next(ahead, None)
            answers = self._quickly(block) or self._slowly(block, last=following is None)
            self._offset += len(block)
            if answers[0]:
                self.last_kind = answers[0][-1].a0
            yield block, answers
            block = following

    def _quickly(self, block: bytes) -> Answers | None:
        try:
            return self._typed.decode_lines(block), self._typed.bits
        except (DecodeError, RecursionError):  # of values that are nested without end
            return None

    def _slowly(self, block: bytes, *, last: bool) -> Answers:
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
        """Lines are not counted as they pass, because that takes a good part of the time; only errors need it."""
        return self._blocks.lines_before(self._offset) + place + 1

    def _bad(self, message: str, place: int) -> SessionError:
        return SessionError(self._blocks.name, message, self._number(place))


def lines_of(block: bytes, count: int, name: str) -> list[bytes]:
    """The lines of a block that has so many records. Raises `SessionError` where that cannot be."""
    lines = block.split(b"\n")
    if len(lines) - (not lines[-1]) != count:
        lines = [line for line in lines if line.strip()]
        # One more: a torn last line, which is no record.
        if len(lines) not in (count, count + 1):
            raise SessionError(name, "not every record is on a line of its own")
    return lines


def _bits(record: ProbedRecord) -> int:
    return record.bits
