"""JSON, compressed and base64-encoded: the form in which the page holds its data.

Details and contents are in blocks that the page unpacks only when one of them is looked at.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from typing import Any

from mockrec.formats.text.json import dump

_BLOCK = 256 * 1024
"""Bytes of JSON in a block, at least: a smaller one compresses less well, a larger one is slower to look into."""


def packed(data: bytes) -> bytes:
    """Compress (zlib, RFC 1950) and encode."""
    return base64.b64encode(zlib.compress(data, 6))


def packed_json(value: Any) -> bytes:
    """Return a value as JSON, compressed and encoded."""
    return packed(dump(value))


def blocks_of(items: Iterable[bytes]) -> tuple[list[int], list[bytes]]:
    """Join items of JSON to lists. Return the number of the first item of each list, and the lists, packed."""
    starts: list[int] = []
    made: list[bytes] = []
    held: list[bytes] = []
    size = first = 0
    for number, item in enumerate(items):
        if not held:
            first = number
        held.append(item)
        size += len(item)
        if size >= _BLOCK:
            starts.append(first)
            made.append(packed(b"[%b]" % b",".join(held)))
            held, size = [], 0
    if held:
        starts.append(first)
        made.append(packed(b"[%b]" % b",".join(held)))
    return starts, made
