"""Charsets by the names that peers and files give them (RFC 9110, 8.3.2), as far as Python's codecs are charsets."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final

_NO_CHARSETS: Final = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)
"""Python's codecs that no text on the wire is in. Those of IDNA and Punycode take the square of a text's length."""


@lru_cache(maxsize=256)
def codec_of(name: str) -> str | None:
    """The name of Python's codec for a charset; None for one that is not known, or is none."""
    try:
        codec = codecs.lookup(name).name
        "".encode(codec)  # refuses codecs between bytes and bytes, such as base64
    except (LookupError, ValueError):
        return None
    return None if codec.replace("-", "_") in _NO_CHARSETS else codec
