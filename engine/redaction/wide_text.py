"""Texts of two or four bytes a character, in which no expression over bytes finds anything."""

from __future__ import annotations

import codecs
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHAPES: Final = {
    (True, False, True, False): "utf-16-le",
    (False, True, False, True): "utf-16-be",
    (True, False, False, False): "utf-32-le",
    (False, False, False, True): "utf-32-be",
}
"""Which of the first four bytes are not zero, where the first characters are ASCII (RFC 4627, 3)."""


def coding_of(data: bytes, *, is_whole: bool = True) -> str:
    """The coding of a text that says by a byte order mark, or by its first characters, that it is in UTF-16 or UTF-32;
    empty for everything else, and for what is not valid. What is not whole may end inside a character."""
    begin = data[:4]
    if b"\0" not in begin and begin[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return ""  # nearly all
    coding = next((name for mark, name in _MARKS if begin.startswith(mark)), "")
    if not coding:
        if len(begin) < 4:
            return ""
        coding = _SHAPES.get((begin[0] > 0, begin[1] > 0, begin[2] > 0, begin[3] > 0), "")
    if coding:
        try:
            codecs.getincrementaldecoder(coding)().decode(data, is_whole)
        except UnicodeDecodeError:
            return ""
    return coding


def decoded(data: bytes, coding: str) -> tuple[bytes, bytes]:
    """What `coding` says as UTF-8, up to the first byte that is not valid, and the rest. Lone surrogates stay."""
    try:
        return data.decode(coding, "surrogatepass").encode("utf-8", "surrogatepass"), b""
    except UnicodeDecodeError as error:
        text = data[: error.start].decode(coding, "surrogatepass")
        return text.encode("utf-8", "surrogatepass"), data[error.start :]


def encoded(text: bytes, coding: str) -> bytes:
    """The opposite for the first of the two."""
    return text.decode("utf-8", "surrogatepass").encode(coding, "surrogatepass")
