"""HTML as a sequence of tags and texts: how its lines are broken does not count, nor do tokens against forgery."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mockrec.formats.diff.compare.lines import Pieces, compare_pieces, split_lines
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import looks_like_token
from mockrec.formats.diff.model.finding import Finding

_KEPT = re.compile(r"<(pre|textarea|script|style|xmp|listing)\b[^<>]*>", re.IGNORECASE)
"""Begins an element in which blanks count, and `<` may mean something else."""
_KEEPS_BLANKS = re.compile(r"white-space\s*:\s*(?:pre|break-spaces)", re.IGNORECASE)
"""A style under which they may count anywhere."""
_TAG = re.compile("(<[^<>]*>)")
_TOKEN = re.compile("csrf|xsrf|token|nonce", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'\b(value|content|nonce)=(["\'])([^"\']{16,})\2')


def compare_pages(a: str, b: str, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """The tags and texts that differ between two pages, each with its line."""
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
    """The tags and the texts between them, and whether the blanks in one count. Looks at each character once."""
    lowered = text.lower()
    same_length = len(lowered) == len(text)  # a few letters have a longer form
    start = 0
    while found := _KEPT.search(text, start):
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
    """A tag or a text without the blanks that break lines; a blank between two words stays one."""
    bare = piece.strip()
    before, after = piece[: len(piece) - len(piece.lstrip())], piece[len(piece.rstrip()) :]
    first, last = (" " if blanks and "\n" not in blanks else "" for blanks in (before, after))
    return f"{first}{' '.join(bare.split())}{last}" if bare else first


def _masked(piece: str, values: ValueComparer, side: int) -> str:
    if _TOKEN.search(piece):
        # A token against forgery is new in each page, and stands in an attribute.
        piece = _ATTRIBUTE.sub(_without_token, piece)
    return values.masked(piece, side)


def _without_token(match: re.Match[str]) -> str:
    return f"{match[1]}=<token>" if looks_like_token(match[3]) else match[0]
