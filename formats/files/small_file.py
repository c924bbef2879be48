"""Reads whole files up to a limit: rules, baselines, certificates, keys. A device or a pipe may have no end."""

from __future__ import annotations

import errno
from os import PathLike
from typing import Final

MIB: Final = 1024 * 1024
RULES_LIMIT: Final = 64 * MIB
"""Bytes of a rule file, and of each file that is included in it."""
BODY_LIMIT: Final = 256 * MIB
"""Bytes of a file whose content is a body."""
REPORT_LIMIT: Final = 64 * MIB
"""Bytes of a baseline."""
SMALL_LIMIT: Final = 16 * MIB
"""Bytes of a list of rules to ignore, or of certificates and keys."""

_PIECE = 1 * MIB


def read_small(path: str | PathLike[str], limit: int = SMALL_LIMIT) -> bytes:
    """Read a file of at most `limit` bytes. Raises OSError, with EFBIG for a larger file."""
    pieces: list[bytes] = []
    left = limit
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise OSError(errno.EFBIG, f"it has more than {limit // MIB} MiB, the most that such a file may have")
            pieces.append(piece)
    return b"".join(pieces)
