"""Parse an XML document (its infoset) to a tree of elements.

The order of attributes, quotes, prefixes of namespaces, character references, CDATA sections, comments, the
declaration, empty elements in either form and blanks between elements do not count (Canonical XML 1.1, and RFC 7303).
Expat reads the text as a stream. A document that declares entities, or has very many nodes or levels, is not parsed, so
the work never grows faster than the size of the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

_MOST_BYTES = 8 * 1024 * 1024
_MOST_NODES = 200_000
_MOST_LEVELS = 500
"""Beyond these limits a text is compared by line. Each difference has a whole path, and without a limit of levels the
paths of a nested document would grow with the square of its size."""
_LONGEST_SHOWN = 1_000


@dataclass(slots=True)
class Instruction:
    """A processing instruction."""

    target: str
    data: str


@dataclass(slots=True)
class Element:
    """An element. Its name, and those of its attributes, are `namespace`, a line feed and the local name."""

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)


Node = Element | Instruction | str


class _RefusedXml(Exception):
    """The document declares entities, which may expand without bound, or has too many nodes or levels."""


def parse(text: str) -> Element | None:
    """Return the document: an element without a name that contains the root and its siblings. None if the text is not
    XML, or is refused."""
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
    except (expat.ExpatError, _RefusedXml):
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
            raise _RefusedXml
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
        raise _RefusedXml

    def _add(self, node: Node) -> None:
        self._flush()
        self._nodes += 1 + (len(node.attributes) if isinstance(node, Element) else 0)
        if self._nodes > _MOST_NODES:
            raise _RefusedXml
        self._open[-1].children.append(node)

    def _flush(self) -> None:
        """Add the collected text, unless it is only blanks, which are formatting."""
        if self._texts:
            text = "".join(self._texts)
            self._texts.clear()
            if text.strip():
                self._open[-1].children.append(text)


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("\n")[2]


def qualified(name: str) -> str:
    """Return a name as `{namespace}name`."""
    space, found, short = name.rpartition("\n")
    return f"{{{space}}}{short}" if found else short


def shown(node: Node) -> str:
    """Return a node as XML, without prefixes, cut to `_LONGEST_SHOWN` characters."""
    pieces: list[str] = []
    size = 0
    for piece in _pieces(node):
        pieces.append(piece)
        size += len(piece)
        if size > _LONGEST_SHOWN:
            return "".join(pieces)[:_LONGEST_SHOWN] + "…"
    return "".join(pieces)


def _pieces(node: Node) -> Iterator[str]:
    from xml.sax.saxutils import escape, quoteattr  # imports urllib.request, and that `ssl`

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
