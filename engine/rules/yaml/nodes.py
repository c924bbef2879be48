"""YAML text → nodes with their locations. Independent of the rule language.

The composer works on the parser's events and replaces PyYAML's for three reasons: libyaml's composer recurses in C
and ends the process on deep nesting, alias expansion has to be bounded, and scalars follow the core schema of
YAML 1.2 (section 10.3.2), in which `no`, `on` and dates are plain words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from mockrec.engine.errors import Problem, RuleFileError

MAX_DEPTH: Final = 100
MAX_ALIASED_NODES: Final = 100_000
MAX_NODES: Final = 2_000_000
"""Limit of values in a file; each takes some 300 bytes of memory."""
MAX_DIGITS: Final = 300

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Alias, _Scalar, _Sequence = yaml.AliasEvent, yaml.ScalarEvent, yaml.SequenceStartEvent
_SequenceEnd, _MappingEnd = yaml.SequenceEndEvent, yaml.MappingEndEvent
_BLOCKS = ("|", ">")
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Node(msgspec.Struct, eq=False):
    """A value in the file. `line` and `column` count from 1; `weight` is its number of nodes with aliases expanded."""

    line: int
    column: int


class ScalarNode(Node, eq=False):
    """Text. `plain`: written without quotes, so it may also be a number, a boolean or null."""

    text: str
    plain: bool
    block: bool
    """Written as `|` or `>`: the text begins on the line after `line`."""
    weight: int = 1


class ListNode(Node, eq=False):
    """A sequence."""

    items: list[AnyNode] = []
    weight: int = 1


class MapNode(Node, eq=False):
    """A mapping as pairs in file order; keys may repeat and may be any node."""

    pairs: list[tuple[AnyNode, AnyNode]] = []
    weight: int = 1


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


def release(root: AnyNode) -> None:
    """Free the nodes of a document whose values were read, piece by piece: all at once, a long file's hold up other
    threads for 30 ms."""
    for _, value in root.pairs if isinstance(root, MapNode) else ():
        if isinstance(value, ListNode):
            while value.items:
                value.items.pop()


def parse(data: bytes, file: str) -> AnyNode:
    """Parse a file that holds one document. Raises RuleFileError with one problem, at the first syntax error."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise _broken(file, *_end_of(before), f"not UTF-8: byte 0x{data[error.start]:02x}") from None
    try:
        return _Composer(text, file).document()  # without libyaml, the first of them raises ReaderError
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        raise _broken(file, *_end_of(before), "not YAML: control characters are not allowed") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(text, file, error) from None


class _Composer:
    """Builds nodes from the events of one document."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._next: Callable[[], Any] = _LOADER(text).get_event
        self._anchors: dict[str, AnyNode] = {}
        self._aliased = 0
        self._nodes = 0

    def document(self) -> AnyNode:
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise _broken(self._file, 1, 1, "the file is empty; a rule file begins with `version: 1` and `rules:`")
        root = self._node(self._next(), 1)
        self._next()  # the document's end
        event = self._next()
        if isinstance(event, yaml.DocumentStartEvent):
            raise self._error(event, "a rule file holds one YAML document; `---` begins a second one")
        return root

    def _node(self, event: Any, depth: int) -> AnyNode:
        kind, mark = type(event), event.start_mark
        if kind is _Alias:
            return self._alias(event)
        tag = event.tag
        if tag is not None and tag != "!" and tag not in _CORE_TAGS:
            raise self._error(event, f"the tag {tag!r} is not part of the rule language")
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(event, f"the file has more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested more than {MAX_DEPTH} levels deep")
        node: AnyNode
        if kind is _Scalar:
            plain = event.implicit[0] if tag is None else tag in _CORE_TAGS and not tag.endswith(":str")
            node = ScalarNode(mark.line + 1, mark.column + 1, event.value, plain, event.style in _BLOCKS)
        elif kind is _Sequence:
            node = self._list(ListNode(mark.line + 1, mark.column + 1), depth + 1)
        else:
            node = self._map(MapNode(mark.line + 1, mark.column + 1), depth + 1)
        # Only a complete node gets its anchor, so an alias inside its own anchor is unknown.
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _list(self, node: ListNode, depth: int) -> ListNode:
        next_event, add, weight = self._next, node.items.append, 1
        while type(inner := next_event()) is not _SequenceEnd:
            add(item := self._node(inner, depth))
            weight += item.weight
        node.weight = weight
        return node

    def _map(self, node: MapNode, depth: int) -> MapNode:
        next_event, add, weight = self._next, node.pairs.append, 1
        most = MAX_NODES if depth <= MAX_DEPTH else 0
        while type(inner := next_event()) is not _MappingEnd:
            if type(inner) is _Scalar and inner.tag is inner.anchor is None and self._nodes < most:  # as in `_node`
                self._nodes += 1
                mark: Any = inner.start_mark
                key: AnyNode = ScalarNode(
                    mark.line + 1, mark.column + 1, inner.value, inner.implicit[0], inner.style in _BLOCKS
                )
            else:
                key = self._node(inner, depth)
            value = self._node(next_event(), depth)
            add((key, value))
            weight += key.weight + value.weight
        node.weight = weight
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
