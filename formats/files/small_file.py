"""Files that are read whole: rules, baselines, certificates, keys. Devices and pipes have no end; these have one."""

from __future__ import annotations

import errno
from os import PathLike
from typing import Final

MIB: Final = 1024 * 1024
RULES_LIMIT: Final = 64 * MIB
"""Bytes of a rule file, and of a file that it names and that is read with it."""
BODY_LIMIT: Final = 256 * MIB
"""Bytes of a file that becomes a body as a whole."""
REPORT_LIMIT: Final = 64 * MIB
"""Bytes of a baseline."""
SMALL_LIMIT: Final = 16 * MIB
"""Bytes of a list of rules to ignore, or of certificates and keys."""

_PIECE = 1 * MIB


def read_small(path: str | PathLike[str], limit: int = SMALL_LIMIT) -> bytes:
    """The bytes of a file, of which there are at most `limit`. Raises OSError, EFBIG where there are more."""
    pieces: list[bytes] = []
    left = limit
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise OSError(errno.EFBIG, f"it has more than {limit // MIB} MiB, the most that such a file may have")
            pieces.append(piece)
    return b"".join(pieces)
