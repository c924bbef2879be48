"""The numbers of lines that were encoded before their numbers were known."""

from __future__ import annotations

from typing import Final

UNNUMBERED: Final = b'{"seq":0'
"""The beginning of a line whose record has no number yet: see `Recorder.add_lines`."""


def numbered(lines: bytes, first: int) -> bytes:
    """Return lines that begin with `UNNUMBERED` with their numbers instead of the 0, from `first` on.

    Many lines are numbered with a few calls: no line contains a line break, so no text of a record looks like the
    beginning of a line.
    """
    rests = (b"\n" + lines).split(b"\n" + UNNUMBERED)[1:]
    parts = [b""] * (2 * len(rests))
    parts[::2] = [b'\n{"seq":%d' % number for number in range(first, first + len(rests))]
    parts[1::2] = rests
    return b"".join(parts)[1:]
