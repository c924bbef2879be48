"""JSON Lines that mean the same, written as other programs may write them: escapes, spaces, blank lines, a cut tail."""

from __future__ import annotations

import re
from random import Random

_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_PIECE = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.|[\x20-\x7f]|[^\x00-\x7f]+")
_SHORT = {b"/": rb"\/"}


def disguised(data: bytes, dice: Random) -> bytes:
    """Return the lines with escapes in some of their strings (keys, too), with spaces between parts, or as they are."""
    share = dice.choice((0.0, 0.02, 0.3))
    spaces = dice.random() < 0.3
    blank = dice.choice((0.0, 0.0, 0.1))
    made: list[bytes] = []
    for line in data.splitlines():
        made.append(_spaced(_escaped(line, dice, share), dice) if spaces else _escaped(line, dice, share))
        if dice.random() < blank:
            made.append(dice.choice((b"", b" ", b"\t")))
    return b"".join(line + b"\n" for line in made)


def cut(data: bytes, dice: Random) -> bytes:
    """Return lines of which the last one has lost its end: at least its `}`, at most all of it but the first byte."""
    if not data:
        return data
    head, _, last = data.removesuffix(b"\n").rpartition(b"\n")
    start = head + b"\n" if head else b""
    return start + last[: dice.randint(1, max(1, len(last.rstrip()) - 1))]


def _escaped(line: bytes, dice: Random, share: float) -> bytes:
    if not share:
        return line
    return _STRING.sub(
        lambda found: b'"' + _PIECE.sub(lambda piece: _escape(piece[0], dice, share), found[1]) + b'"', line
    )


def _escape(piece: bytes, dice: Random, share: float) -> bytes:
    """Write characters as escapes; those that are escapes already stay."""
    if piece.startswith(b"\\") or dice.random() >= share:
        return piece
    if piece in _SHORT and dice.random() < 0.5:
        return _SHORT[piece]
    units = piece.decode().encode("utf-16-be")
    form = dice.choice((b"\\u%04x", b"\\u%04X"))
    return b"".join(form % int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))


def _spaced(line: bytes, dice: Random) -> bytes:
    """Put spaces before and after the parts between strings."""
    parts = re.split(rb'("(?:[^"\\]|\\.)*")', line)
    space = dice.choice((b" ", b"\t", b"  "))
    made = []
    for number, part in enumerate(parts):
        made.append(part if number % 2 else re.sub(rb"([{}\[\],:])", rb"\1" + space, part))
    return b"".join(made).rstrip(b" \t")
