"""Read YAML as plain values, one part of a file at a time, with limits for depth, size and the expansion of aliases.

The values are built from the parser's events: libyaml's composer recurses in C and builds the whole file, and PyYAML's
constructors would make Python objects of tags. Scalars stay texts as they are written (a body `123` or `yes` is that
text); `plain_value` interprets a plain scalar.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from mockrec.formats.schema.errors import SessionError

MAX_DEPTH = 100
MAX_BETWEEN = 128 * 1024 * 1024
"""Bytes that may be read for one value: limits the memory that a wrong file can take."""
ALIASED_RATIO = 10
"""Limit of the expansion by aliases, as a multiple of the file's size."""
MAX_PROBLEMS = 1000
_ALIASED_FREE = 1024 * 1024
_NODE = 64
"""Bytes that a value counts in addition to its text."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_BINARY = frozenset({f"{_STANDARD}binary", f"{_STANDARD}python/bytes", "!binary"})
_HARMLESS = re.compile(
    # Tags that recorders write. They are ignored: the plain value after the tag is read.
    rf"{_STANDARD}(?:str|int|float|bool|null|map|seq|timestamp|set|omap|value|merge)"
    rf"|{_STANDARD}python/(?:str|unicode|tuple|int|long|float|bool|none|list|dict"
    r"|object:vcr\.request\.(?:Request|HeadersDict)|object/apply:(?:__builtin__|builtins)\.(?:frozenset|iter|bytearray)"
    r"|object/new:(?:_io\.BytesIO|vcr\.request\.HeadersDict|requests\.structures\.CaseInsensitiveDict))"
    r"|!ruby/(?:struct:VCR::\w+|sym(?:bol)?|string(?::\w+)?|str(?::\w+)?|hash(?::[\w:]+)?|array(?::[\w:]+)?)"
    r"|!(?:str|float|map|seq)(?::\w+)?|!"
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40}|[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")


class Plain(str):
    """A scalar without quotes, which may mean a number, a boolean or null."""

    __slots__ = ()


class UnreadValue:
    """Stands in for a value that is not read, with the reason. Code that needs the value reports the reason."""

    __slots__ = ("problem",)

    def __init__(self, problem: str) -> None:
        self.problem = problem


def plain_value(value: Any) -> Any:
    """Convert a value for JSON: plain scalars as YAML 1.2's core schema reads them, bytes as text."""
    if isinstance(value, Plain):
        if value in _NULLS:
            return None
        if value in _BOOLEANS:
            return _BOOLEANS[value]
        if _INTEGER.fullmatch(value):
            return int(value)
        return float(value) if _FLOAT.fullmatch(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(key): plain_value(one) for key, one in value.items()}
    return [plain_value(one) for one in value] if isinstance(value, list) else value


def is_null(value: Any) -> bool:
    """True for None and a plain `null`."""
    return value is None or (isinstance(value, Plain) and value in _NULLS)


class _FileStream:
    """The file, as libyaml reads it, with a limit for one value."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.taken = 0
        self.mark = 0
        """Value of `taken` at the last event."""
        self.line = 1
        """Line of the last event."""
        self._name = name
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; b"" at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        if self.taken - self.mark > MAX_BETWEEN:
            problem = f"a value that is longer than {MAX_BETWEEN >> 20} MiB is refused"
            raise SessionError(self._name, problem, self.line)
        part = self._rest[: size if size > 0 else None]
        self._rest = self._rest[len(part) :]
        self.taken += len(part)
        return bytes(part)


class _OpenNode:
    """A mapping or sequence that is being read."""

    __slots__ = ("anchor", "height", "key", "tag", "value", "weight")

    def __init__(self, value: Any, anchor: str | None, tag: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.tag = tag
        self.key: Any = None
        self.weight = _NODE
        self.height = 1
        """Levels of nesting inside, also through aliases."""


_Complete = tuple[Any, int, int]
"""A complete value, its weight and its height."""


class YamlValues:
    """Reads a file; `parts` yields its values. Raises `SessionError` with the line of an error."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.torn = ""
        """Afterwards: a sentence if the file ends too early, otherwise ""."""
        self.repeated: list[tuple[int, str]] = []
        """Keys that occur twice in a mapping, with their lines. The caller clears the list."""
        self._name = name
        self._stream = _FileStream(name, chunks)
        self.refused: list[str] = []
        """Values that were not read, a sentence each. The caller clears the list."""
        self._anchors: dict[str, _Complete] = {}
        self._aliased = 0
        self._line = 1

    def parts(self, lists: frozenset[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield (key, line, value) for each member of the document, if it is a mapping, or ("", line, item) for each
        item, if it is a list. The items of members that are named in `lists` are yielded one by one."""
        try:
            events = iter(yaml.parse(self._stream, Loader=_LOADER))
            for event in events:
                self._track(event)
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                elif isinstance(event, yaml.SequenceStartEvent):
                    yield from self._items("", event, events)
                elif isinstance(event, yaml.MappingStartEvent):
                    yield from self._members(event, events, lists)
                elif isinstance(event, yaml.ScalarEvent) and event.value.strip():
                    yield "", self._line, self._scalar(event)
        except yaml.MarkedYAMLError as error:
            self._fail(error)
        except (yaml.YAMLError, UnicodeDecodeError) as error:  # invalid UTF-8, characters that YAML bans
            raise SessionError(self._name, f"no YAML after this line: {_message_of(error)}", self._line) from None

    def _members(self, start: Any, events: Iterator[Any], lists: frozenset[str]) -> Iterator[tuple[str, int, Any]]:
        self._forget_anchor(start)
        for event in events:
            self._track(event)
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = _key(self._value(event, events))
            event = next(events)
            self._track(event)
            line = self._line
            if key in lists and isinstance(event, yaml.SequenceStartEvent):
                yield from self._items(key, event, events)
                continue
            value = self._value(event, events)
            if key not in lists:
                yield key, line, value
            elif not is_null(value):
                raise SessionError(self._name, f"expected a list of {key}, found {_found(value)}", line)

    def _items(self, key: str, start: Any, events: Iterator[Any]) -> Iterator[tuple[str, int, Any]]:
        self._forget_anchor(start)
        for event in events:
            self._track(event)
            if isinstance(event, yaml.SequenceEndEvent):
                return
            line = self._line
            yield key, line, self._value(event, events)

    def _forget_anchor(self, event: Any) -> None:
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _track(self, event: Any) -> None:
        self._line = event.start_mark.line + 1
        self._stream.mark, self._stream.line = self._stream.taken, self._line

    def _value(self, event: Any, events: Iterator[Any]) -> Any:
        """Read one whole value, which begins with `event`."""
        opened: list[_OpenNode] = []
        while True:
            done = self._step(event, opened)
            if done is not None:
                if not opened:
                    return done[0]
                self._put(opened[-1], *done)
            event = next(events)
            self._track(event)

    def _step(self, event: Any, opened: list[_OpenNode]) -> _Complete | None:
        """Take one event. Return a complete value, or None if a mapping or sequence has begun."""
        if isinstance(event, yaml.AliasEvent):
            complete = self._alias(event.anchor or "")
            self._check_depth(len(opened) + complete[2])
            return complete
        if isinstance(event, yaml.ScalarEvent):
            complete = self._scalar(event), _NODE + len(event.value), 0
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._check_depth(len(opened) + 1)
            self._forget_anchor(event)
            empty: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            opened.append(_OpenNode(empty, event.anchor, event.tag))
            return None
        else:
            event = opened.pop()
            complete = self._tagged(event.value, event.tag), event.weight, event.height
        if event.anchor is not None:
            self._anchors[event.anchor] = complete
        return complete

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SessionError(self._name, f"refused: nested more than {MAX_DEPTH} levels deep", self._line)

    def _put(self, owner: _OpenNode, value: Any, weight: int, height: int) -> None:
        owner.weight += weight
        owner.height = max(owner.height, height + 1)
        if isinstance(owner.value, list):
            owner.value.append(value)
        elif owner.key is None:
            owner.key = (value,)
        else:
            (key,) = owner.key
            owner.key = None
            if isinstance(key, Plain) and key == "<<" and isinstance(value, dict):
                owner.value.update({name: one for name, one in value.items() if name not in owner.value})
                return
            named = _key(key)
            if named in owner.value and len(self.repeated) < MAX_PROBLEMS:
                self.repeated.append((self._line, named))
            owner.value[named] = value

    def _alias(self, anchor: str) -> _Complete:
        if anchor not in self._anchors:
            raise SessionError(
                self._name, f"the alias *{anchor[:60]} names nothing that is complete before it", self._line
            )
        complete = self._anchors[anchor]
        self._aliased += complete[1]
        if self._aliased > _ALIASED_FREE + ALIASED_RATIO * self._stream.taken:
            raise SessionError(
                self._name,
                f"refused: its aliases (such as *{anchor[:60]}) make it more than {ALIASED_RATIO} times as large "
                "as it is",
                self._line,
            )
        return complete

    def _scalar(self, event: Any) -> Any:
        if event.tag in _BINARY:
            try:
                return base64.b64decode("".join(event.value.split()), validate=True)
            except (binascii.Error, ValueError) as error:
                return self._refuse(f"its !!binary is no base64 ({error})")
        plain = event.style is None or event.style == ""
        return self._tagged(Plain(event.value) if plain and event.implicit[0] else event.value, event.tag)

    def _tagged(self, value: Any, tag: str | None) -> Any:
        if tag is None or _HARMLESS.fullmatch(tag):
            return value
        shown = tag.replace(_STANDARD, "!!")[:80]
        return self._refuse(f"the tag {shown} is refused: a cassette is read as data, no object is made of it")

    def _refuse(self, problem: str) -> UnreadValue:
        if len(self.refused) < MAX_PROBLEMS:
            self.refused.append(f"line {self._line}: {problem}")
        return UnreadValue(f"line {self._line}: {problem}")

    def _fail(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (self._line, 1)
        message = _message_of(error)
        if "end of stream" in message or ("document end" in message and not self._stream.read(1)):
            self.torn = f"the file ends in the middle of a value (line {line})"
            return
        raise SessionError(self._name, f"column {column}: no YAML: {message}", line)


def _found(value: Any) -> str:
    """Describe a value for a message."""
    if isinstance(value, UnreadValue):
        return value.problem
    return "a mapping" if isinstance(value, dict) else f"{value!r:.60}"


def _message_of(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    return " ".join(f"{f'{context}, ' if context else ''}{problem}".split())[:200]


def _key(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # Ruby's symbols.
    return str(value).removeprefix(":") if isinstance(value, str) else type(value).__name__
