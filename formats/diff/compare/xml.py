"""What an XML document says (its infoset), as a tree of elements.

The order of attributes, quotes, prefixes of namespaces, character references, CDATA sections, comments, the
declaration, empty elements in either form and blanks between elements do not count (Canonical XML 1.1, and RFC 7303).
Expat reads it as a stream, and a document with entities of its own, or of very many nodes or levels, is not read: no
text makes work grow faster than its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

_MOST_BYTES = 8 * 1024 * 1024
_MOST_NODES = 200_000
_MOST_LEVELS = 500
"""Beyond these a text is compared by its lines. What differs is told with the whole way to it, and without a bound on
the levels the ways of a nested document would grow with its square."""
_LONGEST_SHOWN = 1_000


@dataclass(slots=True)
class Instruction:
    """A processing instruction."""

    target: str
    data: str


@dataclass(slots=True)
class Element:
    """An element. Its name, and those of its attributes, have their namespace before a line feed."""

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)


Node = Element | Instruction | str


class _NoPlainXml(Exception):
    """It has entities of its own, whose texts may be made to grow, or too many nodes or levels."""


def parse(text: str) -> Element | None:
    """The document: an element without a name, in which the root and what stands beside it lie. None for no XML."""
    if len(text) > _MOST_BYTES:
        return None
    reader = _XmlReader()
    parser = expat.ParserCreate("utf-8", "\n")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.ProcessingInstructionHandler = reader.instruction
    parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(text.removeprefix("\ufeff").encode("utf-8", "surrogatepass"), True)
    except (expat.ExpatError, _NoPlainXml):
        return None
    return reader.document


class _XmlReader:
    def __init__(self) -> None:
        self.document = Element("", {})
        self._open = [self.document]
        self._texts: list[str] = []
        self._nodes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _MOST_LEVELS:
            raise _NoPlainXml
        element = Element(name, attributes)
        self._add(element)
        self._open.append(element)

    def end(self, _: str) -> None:
        self._flush()
        self._open.pop()

    def text(self, text: str) -> None:
        self._texts.append(text)

    def instruction(self, target: str, data: str) -> None:
        self._add(Instruction(target, data))

    def refuse(self, *_: object) -> None:
        raise _NoPlainXml

    def _add(self, node: Node) -> None:
        self._flush()
        self._nodes += 1 + (len(node.attributes) if isinstance(node, Element) else 0)
        if self._nodes > _MOST_NODES:
            raise _NoPlainXml
        self._open[-1].children.append(node)

    def _flush(self) -> None:
        """Blanks that stand alone between elements are how it is written."""
        if self._texts:
            text = "".join(self._texts)
            self._texts.clear()
            if text.strip():
                self._open[-1].children.append(text)


def local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("\n")[2]


def qualified(name: str) -> str:
    """`{namespace}name`."""
    space, found, short = name.rpartition("\n")
    return f"{{{space}}}{short}" if found else short


def shown(node: Node) -> str:
    """A node as XML, without prefixes; of a long one the beginning."""
    pieces: list[str] = []
    size = 0
    for piece in _pieces(node):
        pieces.append(piece)
        size += len(piece)
        if size > _LONGEST_SHOWN:
            return "".join(pieces)[:_LONGEST_SHOWN] + "…"
    return "".join(pieces)


def _pieces(node: Node) -> Iterator[str]:
    waiting: list[Node | tuple[str]] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            yield one[0]
        elif isinstance(one, str):
            yield escape(one)
        elif isinstance(one, Instruction):
            yield f"<?{one.target} {one.data}?>"
        else:
            named = "".join([f" {local(key)}={quoteattr(value)}" for key, value in one.attributes.items()])
            yield f"<{local(one.name)}{named}{'' if one.children else '/'}>"
            if one.children:
                waiting.append((f"</{local(one.name)}>",))
                waiting.extend(reversed(one.children))
