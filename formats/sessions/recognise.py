"""Which format a session file has, by its first bytes; of all formats that mockrec reads."""

from __future__ import annotations

import re
from typing import Final

from mockrec.formats.files.reader import is_compressed
from mockrec.formats.imported.recognise import recognise

BOM: Final = b"\xef\xbb\xbf"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
"""The byte order marks of UTF-16, in which a shell of Windows writes redirected output."""
PARQUET: Final = b"PAR1"
ZIP: Final = b"PK\x03\x04"

_HAR = re.compile(rb'\s*\{\s*"log"\s*:')
_RECORD = re.compile(rb'\s*\{\s*"(?:seq|type)"\s*:')
"""The first bytes of JSON Lines: tried first, because most sessions are JSON Lines."""


def is_har(start: bytes) -> bool:
    """Whether a file that begins with these bytes, decompressed, is a HAR."""
    if _RECORD.match(start):
        return False
    if _HAR.match(start):
        return True
    if start.lstrip()[:1] not in (b"{", b"[") and not start.lstrip()[:1].isalpha():
        return False
    # Imported here: JSON Lines and most HARs do not need it.
    from mockrec.formats.har.recognise import names_log

    return names_log(start)


def is_plain(start: bytes) -> bool:
    """Whether a file that begins with these bytes is read as it is: JSON Lines in UTF-8, not compressed."""
    return not is_compressed(start) and not start.startswith(UTF16) and is_lines(start.removeprefix(BOM))


def is_lines(start: bytes) -> bool:
    """Whether a file that begins with these bytes, decompressed, is read line by line.

    True for JSON Lines, and for a file that is no session at all.
    """
    return not start.startswith(PARQUET) and not is_har(start) and not recognise(start)
