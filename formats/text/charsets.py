"""Charsets by their names in messages and files (RFC 9110, 8.3.2), as far as Python has a codec for them."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final

_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)
"""Python's codecs that are no charsets of texts. IDNA and Punycode take time with the square of a text's length."""


@lru_cache(maxsize=256)
def codec_of(name: str) -> str | None:
    """The name of Python's codec for a charset; None for an unknown name, and for a codec that is no charset."""
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)  # raises for codecs between bytes and bytes, such as base64
    except (LookupError, ValueError):
        return None
    return None if codec.replace("-", "_") in _NO_CHARSETS else codec
