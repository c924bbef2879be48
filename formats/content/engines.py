"""Decompressors of the content codings that are made of members or frames: gzip, deflate and zstd (RFC 9110, 8.4.1).

Each function returns a new engine with zlib's interface (`decompress`, `eof`, `unused_data`) for data that begins with
`first`.
"""

from __future__ import annotations

import zlib
from typing import Any

_LARGEST_WINDOW = 2**27
"""Bytes of memory that a zstd frame may ask for."""


def gzip(first: bytes) -> Any:
    """An engine for one member (RFC 1952, 2.3)."""
    return zlib.decompressobj(31)


def deflate(first: bytes) -> Any:
    """An engine for zlib's format (RFC 1950), or without its wrapper, as many senders have it (RFC 9110, 8.4.1.2)."""
    wrapped = len(first) > 1 and first[0] & 0x0F == 8 and (first[0] << 8 | first[1]) % 31 == 0
    return zlib.decompressobj(15 if wrapped else -15)


def zstd(first: bytes) -> Any:
    """An engine for one frame (RFC 8878, 3.1.1)."""
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
