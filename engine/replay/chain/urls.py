"""Split a link or request target into the parts that can be chained: path segments and query values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, unquote_plus

from mockrec.engine.replay.chain.names import LONGEST, entity_of, entity_of_path, name_of

_LINK: Final = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,15}:)?//[^/?#\s]+|(?=[/?])")
_WHOLE: Final = re.compile(rf"(?:{_LINK.pattern})\S*")
_MOST_PARTS: Final = 64


@dataclass(slots=True)
class UrlPart:
    """One value in a URL."""

    text: str
    """The decoded value."""
    start: int
    end: int
    """`start` and `end` delimit the encoded value."""
    place: str
    """`path[2]` (the third segment) or `query:NAME`."""
    name: str
    """The name under which the value is recognised (see `names`), or empty."""
    is_query: bool


def is_link(text: str) -> bool:
    """Whether a text is a URL, or a reference to one that begins with a slash or question mark."""
    return len(text) <= LONGEST and _WHOLE.fullmatch(text) is not None


def target_of(link: str) -> str:
    """Return path and query of a link."""
    found = _LINK.match(link)
    return link[found.end() if found else 0 :].partition("#")[0]


def url_parts(text: str, start: int = 0) -> Iterator[UrlPart]:
    """Yield the parts of a link or target, up to a limit; `start` is its offset in a longer text."""
    found = _LINK.match(text)
    position = found.end() if found else 0
    path, mark, query = text[position:].partition("#")[0].partition("?")
    entity = ""
    at = start + position
    for number, segment in enumerate(path.split("/")[:_MOST_PARTS]):
        if segment:
            value = unquote(segment)
            yield UrlPart(value, at, at + len(segment), f"path[{number}]", f"{entity}id" if entity else "", False)
            entity = entity_of(value)
        at += len(segment) + 1
    if mark:
        yield from fields(query, start + position + len(path) + 1, entity_of_path(path))


def fields(text: str, start: int = 0, entity: str = "") -> Iterator[UrlPart]:
    """Yield the values of a query or form, up to a limit; `start` is its offset in a longer text."""
    at = start
    for field in text.split("&", _MOST_PARTS * 16):
        name, mark, value = field.partition("=")
        if mark and value:
            key = unquote_plus(name)
            end = at + len(field)
            yield UrlPart(unquote_plus(value), end - len(value), end, f"query:{key}", name_of(key, entity), True)
        at += len(field) + 1


def has_same_shape(old: str, new: str) -> bool:
    """Whether two links have the same form.

    They have the same number of path segments, differ only in segments with digits, and have the same query names.
    """
    old_path, _, old_query = old.partition("?")
    new_path, _, new_query = new.partition("?")
    segments = list(zip(old_path.split("/"), new_path.split("/"), strict=False))
    if old_path.count("/") != new_path.count("/"):
        return False
    if any(a != b and not (_has_digit(a) and _has_digit(b)) for a, b in segments):
        return False
    return [part.place for part in fields(old_query)] == [part.place for part in fields(new_query)]


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)
