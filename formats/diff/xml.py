"""What an XML document says (its infoset), as lines: two texts that give the same lines say the same.

The order of attributes, quotes, prefixes of namespaces, character references, CDATA sections, comments, the
declaration, empty elements in either form and blanks between elements do not count (Canonical XML 1.1, and RFC 7303).
Expat reads it as a stream, so no depth and no entity makes work grow: a document with entities of its own is not read.
"""

from __future__ import annotations

from xml.parsers import expat

_MOST_BYTES = 8 * 1024 * 1024
"""Beyond this a text is compared by its lines."""


class _NoPlainXml(Exception):
    """It has entities of its own, whose texts may be made to grow."""


def canonical(text: str) -> list[str] | None:
    """A line for each start of an element, end, and text between them; None for what is no such document."""
    if len(text) > _MOST_BYTES:
        return None
    reader = _Reader()
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
    reader.flush()
    return reader.lines


class _Reader:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._texts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.flush()
        named = "".join([f"\n{key}={value}" for key, value in sorted(attributes.items())])
        self.lines.append(f"<{name}{named}>")

    def end(self, name: str) -> None:
        self.flush()
        self.lines.append("</>")

    def text(self, text: str) -> None:
        self._texts.append(text)

    def instruction(self, target: str, data: str) -> None:
        self.flush()
        self.lines.append(f"<?{target} {data}?>")

    def refuse(self, *_: object) -> None:
        raise _NoPlainXml

    def flush(self) -> None:
        """Blanks that stand alone between elements are how it is written."""
        text = "".join(self._texts)
        self._texts.clear()
        if text.strip():
            self.lines.append(text)
