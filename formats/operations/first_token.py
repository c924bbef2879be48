"""The time to the first token of a streamed answer, from the records of its chunks (`response-body-data`).

The time of a chunk is that of its first byte, and chunks are gathered for 20 ms, so the result is at most 20 ms early.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mockrec.formats.operations.event_stream import EventStreamParser
from mockrec.formats.operations.llm_answer import LlmAnswer
from mockrec.formats.operations.message import MalformedMessageError, body_reader, parse_json

_MOST_OPEN: Final = 10_000
_MOST_TEXT: Final = 1024 * 1024
"""Characters of a stream that are searched for the first token: a stream that is longer is no LLM's."""


class _Stream:
    """The stream of one exchange, until its first token."""

    __slots__ = ("_answer", "_is_lines", "_parser", "_rest", "_size", "last")

    def __init__(self) -> None:
        self._parser = EventStreamParser()
        self._answer = LlmAnswer()
        self._is_lines = False
        """Whether it is a stream of JSON lines (Ollama), and not of events."""
        self._rest = ""
        self._size = 0
        self.last: Any = None
        """`seq` of the last chunk."""

    def feed(self, text: str) -> bool:
        """Return whether the first token is in this text."""
        if not self._size:
            self._is_lines = text.lstrip().startswith("{")
        self._size += len(text)
        if self._size > _MOST_TEXT:
            return False
        if self._is_lines:
            *lines, self._rest = (self._rest + text).split("\n")
        else:
            lines = [event.data for event in self._parser.feed(text)]
        for line in lines:
            try:
                self._answer.take(parse_json(line))
            except MalformedMessageError:  # `[DONE]`, or a stream of something else
                continue
            if self._answer.has_content:
                return True
        return False


class FirstTokens:
    """Give it all records of a session in order; it returns each first token's time once its chunk comes."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._starts: dict[str, float] = {}
        self._open: dict[str, _Stream] = {}
        self._found: dict[str, tuple[Any, float]] = {}
        """Exchange → `seq` of the record with the first token, and the time."""

    def begin(self, identity: Any, timing: Any) -> None:
        """Take the `timingEvents` of a `request` record."""
        start = timing.get("startTimestamp") if isinstance(timing, Mapping) else None
        if isinstance(identity, str) and isinstance(start, (int, float)):
            _remember(self._starts, identity, start)

    def chunk(self, identity: Any, seq: Any, at: Any, content: Any) -> float | None:
        """Return the milliseconds to the first token, if it is in this `response-body-data` record: its `id`, `seq`,
        `eventTimestamp` and `content`. The same record may be given again."""
        if not isinstance(identity, str) or not isinstance(at, (int, float)):
            return None
        found = self._found.get(identity)
        if found is not None:
            return found[1] if found[0] == seq else None
        start = self._starts.get(identity)
        if start is None:
            return None
        stream = self._open.get(identity)
        if stream is None:
            stream = _Stream()
            _remember(self._open, identity, stream)
        if stream.last == seq:
            return None
        stream.last = seq
        data = body_reader(content, self._folder)() or b""
        if not stream.feed(data.decode("utf-8", "replace")):
            return None
        del self._open[identity]
        elapsed = round(at - start, 4)
        _remember(self._found, identity, (seq, elapsed))
        return elapsed

    def add(self, record: Mapping[str, Any]) -> float | None:
        """Do what `begin` or `chunk` does with the values of a record of any type."""
        if record.get("type") == "request":
            self.begin(record.get("id"), record.get("timingEvents"))
        elif record.get("type") == "response-body-data":
            return self.chunk(record.get("id"), record.get("seq"), record.get("eventTimestamp"), record.get("content"))
        return None


def _remember(kept: dict[str, Any], identity: str, value: Any) -> None:
    kept[identity] = value
    if len(kept) > _MOST_OPEN:
        del kept[next(iter(kept))]
