"""Server-sent events (HTML standard, 9.2.6), parsed as a stream arrives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class StreamEvent(msgspec.Struct, frozen=True):
    """One event with data."""

    event: str
    """Its `event:`; empty without."""
    data: str
    """Its `data:` lines, joined."""


class EventStreamParser:
    """Feed text in any pieces; each event is returned once its blank line has come."""

    __slots__ = ("_after_return", "_data", "_event", "_rest", "_started")

    def __init__(self) -> None:
        self._rest: list[str] = []
        """Pieces of a line that has not ended."""
        self._data: list[str] = []
        self._event = ""
        self._started = False
        self._after_return = False
        """Whether the text so far ends with a carriage return: a line feed at the next beginning belongs to it."""

    def feed(self, text: str) -> Iterator[StreamEvent]:
        """Yield the events that end in this piece."""
        if not text:
            return
        if not self._started:
            text, self._started = text.removeprefix("\ufeff"), True
        if self._after_return:
            text = text.removeprefix("\n")
        self._after_return = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        if not lines:
            self._rest.append(rest)
            return
        lines[0] = "".join(self._rest) + lines[0]
        self._rest = [rest]
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[StreamEvent]:
        """Yield the last event, if the stream ended without its blank line: recordings are read as far as they go."""
        rest, self._rest = "".join(self._rest), []
        if rest:
            yield from self._line(rest)
        yield from self._line("")

    def _line(self, line: str) -> Iterator[StreamEvent]:
        if not line:
            if self._data:
                yield StreamEvent(self._event, "\n".join(self._data))
            self._data, self._event = [], ""
            return
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "event":
            self._event = value.removeprefix(" ")


def data_of(text: str) -> Iterator[StreamEvent]:
    """Yield the events of a whole stream, also an incomplete last one."""
    parser = EventStreamParser()
    yield from parser.feed(text)
    yield from parser.end()
