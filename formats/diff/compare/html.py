"""Compare HTML as a sequence of tags and texts: line breaks between words and CSRF tokens do not count."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mockrec.formats.diff.compare.lines import Pieces, compare_pieces, split_lines
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import looks_like_token
from mockrec.formats.diff.model.finding import Finding

_PREFORMATTED = re.compile(r"<(pre|textarea|script|style|xmp|listing)\b[^<>]*>", re.IGNORECASE)
"""The start tag of an element in which blanks count, and `<` may not begin a tag."""
_KEEPS_BLANKS = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.IGNORECASE)
"""A style that makes blanks count in any element."""
_TAG = re.compile("(<[^<>]*>)")
_TOKEN = re.compile("csrf|xsrf|token|nonce", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'\b(value|content|nonce)=(["\'])([^"\']{16,})\2')


def compare_pages(a: str, b: str, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """Yield the tags and texts that differ between two pages, each with its line."""
    read = _by_line if _KEEPS_BLANKS.search(a) or _KEEPS_BLANKS.search(b) else _in_pieces
    yield from compare_pieces(read(a, values, 0), read(b, values, 1), values, side, place)


def _by_line(text: str, values: ValueComparer, side: int) -> Pieces:
    lines = split_lines(text)
    return Pieces(lines, [_masked(line, values, side) for line in lines])


def _in_pieces(text: str, values: ValueComparer, side: int) -> Pieces:
    shown, compared, lines = [], [], []
    line = 0
    for piece, keep in _split(text.removeprefix("\ufeff")):
        for number, part in enumerate(split_lines(piece)) if keep else ((0, _one_line(piece)),):
            if part or keep:
                shown.append(part)
                compared.append(_masked(part, values, side))
                before = piece[: len(piece) - len(piece.lstrip())]
                lines.append(line + (number if keep else before.count("\n")))
        line += piece.count("\n")
    return Pieces(shown, compared, lines)


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """Yield tags and the texts between them, each with True if its blanks count. Reads each character once."""
    lowered = text.lower()
    same_length = len(lowered) == len(text)  # some letters have a longer lower-case form
    start = 0
    while found := _PREFORMATTED.search(text, start):
        for piece in _TAG.split(text[start : found.end()]):
            yield piece, False
        closing = f"</{found[1].lower()}"
        end = lowered.find(closing, found.end()) if same_length else text.find(closing, found.end())
        if end < 0:
            end = len(text)
        yield text[found.end() : end], True
        start = end
    for piece in _TAG.split(text[start:]):
        yield piece, False


def _one_line(piece: str) -> str:
    """Normalise the blanks of a tag or text: line breaks at its ends are dropped, other runs become one blank."""
    bare = piece.strip()
    before, after = piece[: len(piece) - len(piece.lstrip())], piece[len(piece.rstrip()) :]
    first, last = (" " if blanks and "\n" not in blanks else "" for blanks in (before, after))
    return f"{first}{' '.join(bare.split())}{last}" if bare else first


def _masked(piece: str, values: ValueComparer, side: int) -> str:
    if _TOKEN.search(piece):
        # A CSRF token is an attribute's value, different in each page.
        piece = _ATTRIBUTE.sub(_without_token, piece)
    return values.masked(piece, side)


def _without_token(match: re.Match[str]) -> str:
    return f"{match[1]}=<token>" if looks_like_token(match[3]) else match[0]
