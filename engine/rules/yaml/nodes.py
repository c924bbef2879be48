"""YAML text → nodes with their locations. Independent of the rule language.

The composer works on the parser's events and replaces PyYAML's for three reasons: libyaml's composer recurses in C
and ends the process on deep nesting, alias expansion has to be bounded, and scalars follow the core schema of
YAML 1.2 (section 10.3.2), in which `no`, `on` and dates are plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import yaml

from mockrec.engine.errors import Problem, RuleFileError

MAX_DEPTH: Final = 100
MAX_ALIASED_NODES: Final = 100_000
MAX_NODES: Final = 2_000_000
"""Limit of values in a file; each takes some 300 bytes of memory."""
MAX_DIGITS: Final = 300

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Node:
    """A value in the file. `line` and `column` count from 1; `weight` is its number of nodes with aliases expanded."""

    __slots__ = ("column", "line", "weight")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.weight = 1


class ScalarNode(Node):
    """Text. `plain`: written without quotes, so it may also be a number, a boolean or null."""

    __slots__ = ("block", "plain", "text")

    def __init__(self, line: int, column: int, text: str, *, plain: bool, block: bool) -> None:
        super().__init__(line, column)
        self.text = text
        self.plain = plain
        self.block = block
        """Written as `|` or `>`: the text begins on the line after `line`."""


class ListNode(Node):
    """A sequence."""

    __slots__ = ("items",)

    def __init__(self, line: int, column: int) -> None:
        super().__init__(line, column)
        self.items: list[AnyNode] = []


class MapNode(Node):
    """A mapping as pairs in file order; keys may repeat and may be any node."""

    __slots__ = ("pairs",)

    def __init__(self, line: int, column: int) -> None:
        super().__init__(line, column)
        self.pairs: list[tuple[AnyNode, AnyNode]] = []


AnyNode: TypeAlias = ScalarNode | ListNode | MapNode


_BRACES = re.compile(r"[:,\[{]\s*[^\s\"'{}\[\],][^\"'{}\[\],]*\{")
"""An unquoted text with a brace in it."""


def core_value(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar in the core schema of YAML 1.2. Numbers of absurd length stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    if text in (".nan", ".NaN", ".NAN"):
        return float("nan")
    return text


def parse(data: bytes, file: str) -> AnyNode:
    """Parse a file that holds one document. Raises RuleFileError with one problem, at the first syntax error."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise _broken(file, *_end_of(before), f"not UTF-8: byte 0x{data[error.start]:02x}") from None
    composer = _Composer(text, file)
    try:
        return composer.document()
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        raise _broken(file, *_end_of(before), "not YAML: control characters are not allowed") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(text, file, error) from None


class _Composer:
    """Builds nodes from the events of one document."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._anchors: dict[str, AnyNode] = {}
        self._aliased = 0
        self._nodes = 0

    def document(self) -> AnyNode:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _broken(self._file, 1, 1, "the file is empty; a rule file begins with `version: 1` and `rules:`")
        root = self._node(next(self._events), 1)
        next(self._events)  # the document's end
        event = next(self._events)
        if isinstance(event, yaml.DocumentStartEvent):
            raise self._error(event, "a rule file holds one YAML document; `---` begins a second one")
        return root

    def _node(self, event: Any, depth: int) -> AnyNode:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None and event.tag != "!" and event.tag not in _CORE_TAGS:
            raise self._error(event, f"the tag {event.tag!r} is not part of the rule language")
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(event, f"the file has more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested more than {MAX_DEPTH} levels deep")
        node: AnyNode
        if isinstance(event, yaml.ScalarEvent):
            plain = event.tag is None and event.implicit[0]
            plain = plain or (event.tag in _CORE_TAGS and not event.tag.endswith(":str"))
            node = ScalarNode(mark.line + 1, mark.column + 1, event.value, plain=plain, block=event.style in ("|", ">"))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = ListNode(mark.line + 1, mark.column + 1)
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                node.items.append(item := self._node(inner, depth + 1))
                node.weight += item.weight
        else:
            node = MapNode(mark.line + 1, mark.column + 1)
            while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
                key = self._node(inner, depth + 1)
                value = self._node(next(self._events), depth + 1)
                node.pairs.append((key, value))
                node.weight += key.weight + value.weight
        # Only a complete node gets its anchor, so an alias inside its own anchor is unknown.
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> AnyNode:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._error(event, f"nothing before this place is named &{event.anchor}")
        self._aliased += node.weight
        if self._aliased > MAX_ALIASED_NODES:
            raise self._error(event, f"aliases repeat more than {MAX_ALIASED_NODES} values")
        return node

    def _error(self, event: Any, message: str) -> RuleFileError:
        return _broken(self._file, event.start_mark.line + 1, event.start_mark.column + 1, message)


def _broken(file: str, line: int, column: int, message: str) -> RuleFileError:
    return RuleFileError([Problem(file, line, column, "", message)])


def _end_of(before: str) -> tuple[int, int]:
    """Line and column of the character after `before`."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _syntax_problem(text: str, file: str, error: yaml.MarkedYAMLError) -> RuleFileError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    indentation = here[: len(here) - len(here.lstrip())]
    if "\t" in indentation:
        column = indentation.index("\t") + 1
        return _broken(file, line, column, "YAML forbids tabs for indentation; use spaces")
    message = error.problem or "cannot be read"
    if "maximum nesting depth" in message:  # libyaml reads ahead, so its own limit comes first
        return _broken(file, line, column, f"nested more than {MAX_DEPTH} levels deep")
    if error.context:
        message += f", {error.context}"
        if error.context_mark is not None and error.context_mark.line + 1 != line:
            message += f" that begins in line {error.context_mark.line + 1}"
    began = error.context_mark.line if error.context_mark is not None else line - 1
    if any(_BRACES.search(one) for one in lines[max(began, line - 4) : line]):
        message += '; text with { or } in it needs quotes, such as pathTemplate: "/items/{id}"'
    return _broken(file, line, column, f"not YAML: {message}")
