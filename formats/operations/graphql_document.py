"""GraphQL documents, as far as calls are named and compared: their operations, and a form without white space.

Reads tokens (GraphQL specification, October 2021, 2.1), not the grammar: a document that a server would reject still
has a name. Linear in the length of the document: every position is visited once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from mockrec.formats.operations.message import MalformedMessageError
from mockrec.formats.text.late_regex import late_regex

_IGNORED: Final = late_regex(r"(?:[\s,\ufeff]|#[^\r\n]*)*")
_TOKEN: Final = late_regex(r'[A-Za-z_]\w*|\.\.\.|-?\d[\w.+-]*|[!$&()\[\]{}:=@|]|"(?:[^"\\\r\n]|\\.)*"', re.ASCII)
_TYPES: Final = ("query", "mutation", "subscription")
_MOST_FIELDS: Final = 3


class DocumentOperation(msgspec.Struct, frozen=True):
    """One operation definition."""

    type: str
    """`query`, `mutation` or `subscription`."""
    name: str
    """Its name; empty if it has none."""
    fields: tuple[str, ...] = ()
    """The first fields of its selection, three at most."""

    def __str__(self) -> str:
        if self.name:
            return f"{self.type} {self.name}"
        return f"{self.type} {{{', '.join(self.fields)}}}"


def tokens(document: str) -> Iterator[str]:
    """Yield the tokens of a document. Raises `MalformedMessageError` at text that is no token."""
    position, size = 0, len(document)
    while True:
        ignored = _IGNORED.match(document, position)
        position = ignored.end() if ignored else position
        if position >= size:
            return
        if document.startswith('"""', position):
            end = document.find('"""', position + 3)
            while end > 0 and document[end - 1] == "\\":
                end = document.find('"""', end + 3)
            if end < 0:
                raise MalformedMessageError("the GraphQL document has a block string without an end")
            yield document[position : end + 3]
            position = end + 3
            continue
        token = _TOKEN.match(document, position)
        if token is None:
            raise MalformedMessageError(f"the GraphQL document has {document[position : position + 10]!r}, no token")
        yield token[0]
        position = token.end()


def operations_of(document: str) -> list[DocumentOperation]:
    """Return the operations of a document in order; fragments are left out. Raises `MalformedMessageError`."""
    found = []
    for head, fields in _definitions(document):
        if head and head[0] == "fragment":
            continue
        if head and head[0] not in _TYPES:
            raise MalformedMessageError(f"the GraphQL document begins with {head[0][:40]!r}, no operation")
        name = head[1] if len(head) > 1 and _is_name(head[1]) else ""
        found.append(DocumentOperation(head[0] if head else "query", name, fields))
    if not found:
        raise MalformedMessageError("the GraphQL document has no operation")
    return found


def _definitions(document: str) -> Iterator[tuple[list[str], tuple[str, ...]]]:
    """Yield for each definition the tokens before its selection, without those in brackets, and its first fields."""
    head: list[str] = []
    fields: list[str] = []
    braces = brackets = 0
    before = ""
    for token in tokens(document):
        if token in "([":
            brackets += 1
        elif token in ")]":
            brackets -= 1
        elif brackets > 0:
            continue
        elif token == "{":
            braces += 1
        elif token == "}":
            braces -= 1
            if braces < 0:
                raise MalformedMessageError("the GraphQL document closes a brace that was not opened")
            if braces == 0:
                yield head, tuple(fields)
                head, fields = [], []
        elif braces == 0:
            head.append(token)
        elif braces == 1:
            _add_field(fields, token, before)
        before = token
    if braces or brackets or head:
        raise MalformedMessageError("the GraphQL document ends inside a definition")


def _add_field(fields: list[str], token: str, before: str) -> None:
    if not _is_name(token) or len(fields) > _MOST_FIELDS or before in ("...", "@", "on"):
        return
    if before == ":" and fields:  # after an alias comes the name of the field
        fields[-1] = token
    elif len(fields) < _MOST_FIELDS:
        fields.append(token)


def _is_name(token: str) -> bool:
    return token[0].isalpha() or token[0] == "_"


def selected(operations: list[DocumentOperation], name: str) -> DocumentOperation:
    """Return the operation that `operationName` selects (5.2, 6.1). Raises `MalformedMessageError`."""
    if not name:
        return operations[0]
    for one in operations:
        if one.name == name:
            return one
    raise MalformedMessageError(f"the GraphQL document has no operation {name!r}, which operationName selects")


def normalised(document: str) -> str:
    """Return the document with one blank between tokens, without comments and commas. Raises as `tokens` does."""
    return " ".join(tokens(document))
