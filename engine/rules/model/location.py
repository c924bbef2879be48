"""Places in the rule file."""

from __future__ import annotations

import msgspec


class SourceLocation(msgspec.Struct, frozen=True):
    """A place in the rule file; line and column count from 1."""

    file: str
    line: int
    column: int
    where: str
    """For example `rules[2].then.reply.body`."""
