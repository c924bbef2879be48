"""Texts in UTF-16 and UTF-32: the expressions over bytes find nothing in them, so they are searched as UTF-8."""

from __future__ import annotations

import codecs
import re
from typing import Final

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZERO_BYTES: Final = {
    (True, False, True, False): "utf-16-le",
    (False, True, False, True): "utf-16-be",
    (True, False, False, False): "utf-32-le",
    (False, False, False, True): "utf-32-be",
}
"""Which of the first four bytes are not zero, where the first characters are ASCII (RFC 4627, 3)."""
DECISIVE_BYTES: Final = 4
"""Bytes from which the coding of a text can be detected."""
# A byte order mark of UTF-16, which also begins that of UTF-32-LE, or a zero byte, which that of UTF-32-BE has too.
_may_be_wide: Final = re.compile(
    b"%b|%b|.{0,%d}\0" % (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, DECISIVE_BYTES - 1), re.DOTALL
).match


def coding_of(data: bytes, *, is_whole: bool = True) -> str:
    """Detect UTF-16 or UTF-32 by the byte order mark or by the zero bytes of the first characters, and return its name.

    Empty for everything else, and for text that is not valid in that coding. `is_whole`: the text must not end inside a
    character.
    """
    if _may_be_wide(data) is None:
        return ""  # nearly every text
    begin = data[:DECISIVE_BYTES]
    coding = next((name for mark, name in _BYTE_ORDER_MARKS if begin.startswith(mark)), "")
    if not coding:
        if len(begin) < DECISIVE_BYTES:
            return ""
        coding = _ZERO_BYTES.get((begin[0] > 0, begin[1] > 0, begin[2] > 0, begin[3] > 0), "")
    if coding:
        try:
            codecs.getincrementaldecoder(coding)().decode(data, is_whole)
        except UnicodeDecodeError:
            return ""
    return coding


def is_undecided(data: bytes) -> bool:
    """Return whether these first bytes of a text may begin UTF-16 or UTF-32, but are too few to detect it."""
    return len(data) < DECISIVE_BYTES and (len(data) < 2 or _may_be_wide(data) is not None)


def decoded(data: bytes, coding: str) -> tuple[bytes, bytes]:
    """Return a text in `coding` as UTF-8, up to the first invalid byte, and the bytes from there on, unchanged. Lone
    surrogates stay."""
    try:
        return data.decode(coding, "surrogatepass").encode("utf-8", "surrogatepass"), b""
    except UnicodeDecodeError as error:
        text = data[: error.start].decode(coding, "surrogatepass")
        return text.encode("utf-8", "surrogatepass"), data[error.start :]


def encoded(text: bytes, coding: str) -> bytes:
    """Return UTF-8 in `coding`: the inverse of `decoded`."""
    return text.decode("utf-8", "surrogatepass").encode(coding, "surrogatepass")
