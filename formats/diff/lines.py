"""Text, line by line, up to a number of lines that people would read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mockrec.formats.diff.align import align
from mockrec.formats.diff.model import ABSENT, Finding, Kind, Severity, Subject
from mockrec.formats.diff.values import Values
from mockrec.formats.diff.volatile import looks_like_token

_MOST = 20
"""Lines that are told of one text; the rest is a number."""
_END = re.compile("\r\n|\n|\r")
_END_NAMES = (("\r\n", "CR LF"), ("\n", "LF"), ("\r", "CR"))
_TOKEN_LINE = re.compile("csrf|xsrf|token|nonce", re.IGNORECASE)
_KEEPS_BLANKS = re.compile("<(?:pre|textarea|script|style|xmp|listing)\\b|white-space", re.IGNORECASE)
_TAG = re.compile("(<[^<>]*>)")
_ATTRIBUTE = re.compile(r'\b(value|content|nonce)=(["\'])([^"\']{16,})\2')


def compare_lines(a: str, b: str, values: Values, side: str, place: str, *, html: bool = False) -> Iterator[Finding]:
    """The lines that differ. Where one side has lines more, they are added or removed."""
    if html and not values.strict and _html(a, values, 0) == _html(b, values, 1):
        return
    lines_a, lines_b = _split(a), _split(b)
    masked_a = [_masked(line, values, 0, html) for line in lines_a]
    masked_b = [_masked(line, values, 1, html) for line in lines_b]
    subject = Subject(side, "text")
    more = count = 0
    for count, (index_a, index_b) in enumerate(_unequal(masked_a, masked_b, values), 1):
        if count > _MOST:
            more += 1
        elif index_a is None:
            assert index_b is not None
            where = f"{place} (line {index_b + 1})"
            yield Finding(Kind.added, Severity.changed, where, subject, ABSENT, lines_b[index_b])
        elif index_b is None:
            where = f"{place} (line {index_a + 1})"
            yield Finding(Kind.removed, Severity.changed, where, subject, lines_a[index_a], ABSENT)
        else:
            where = f"{place} (line {index_a + 1})"
            yield Finding(Kind.value, Severity.changed, where, subject, lines_a[index_a], lines_b[index_b])
    if more:
        yield Finding(Kind.value, Severity.changed, f"{place} (more lines)", subject, f"{more} lines", f"{more} lines")
    ends_a, ends_b = _END.findall(a), _END.findall(b)
    if not count and ends_a != ends_b:
        said = [_ends(text, ends) for text, ends in ((a, ends_a), (b, ends_b))]
        yield Finding(Kind.value, Severity.changed, f"{place} (line ends)", subject, *said)


def _split(text: str) -> list[str]:
    """The lines. What else Python takes for a line end stays in them."""
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]


def _ends(text: str, ends: list[str]) -> str:
    """How the lines of a text end."""
    counts = Counter(ends)
    said = [f"{counts[end]} × {name}" for end, name in _END_NAMES if counts[end]]
    if text and not _END.search(text[-1]):
        said.append("none at the end")
    return ", ".join(said)


def _unequal(a: list[str], b: list[str], values: Values) -> Iterator[tuple[int | None, int | None]]:
    for index_a, index_b in align(a, b):
        if index_a is None or index_b is None or not values.same_text(a[index_a], b[index_b]):
            yield index_a, index_b


def _masked(line: str, values: Values, side: int, html: bool) -> str:
    if html and not values.strict and _TOKEN_LINE.search(line):
        # A token against forgery is new in each page, and stands in an attribute.
        line = _ATTRIBUTE.sub(_without_token, line)
    return values.masked(line, side)


def _html(text: str, values: Values, side: int) -> str:
    """What of a page is compared: its text and tags, without tokens, and without how its lines are broken."""
    if _KEEPS_BLANKS.search(text):
        return "\n".join([_masked(line, values, side, html=True) for line in _split(text)])
    pieces = [_one_line(piece) for piece in _TAG.split(text.removeprefix("\ufeff"))]
    return "\n".join([_masked(piece, values, side, html=True) for piece in pieces if piece])


def _one_line(piece: str) -> str:
    """A tag or a text without the blanks that break lines; a blank between two words stays one."""
    bare = piece.strip()
    before, after = piece[: len(piece) - len(piece.lstrip())], piece[len(piece.rstrip()) :]
    first, last = (" " if blanks and "\n" not in blanks else "" for blanks in (before, after))
    return f"{first}{' '.join(bare.split())}{last}" if bare else first


def _without_token(match: re.Match[str]) -> str:
    return f"{match[1]}=<token>" if looks_like_token(match[3]) else match[0]
