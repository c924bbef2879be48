"""How a session ends."""

from __future__ import annotations

import msgspec


class Ending(msgspec.Struct):
    """The reason that the last record gives, and the exit code of the command."""

    reason: str
    exit_code: int = 0
