"""Reads a session for a comparison: its digests, and what a report says of the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mockrec.formats.diff.digest import DigestBuilder
from mockrec.formats.diff.model.exchange import Digest
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.diff.result import ComparedSession
from mockrec.formats.sessions.session import Session, open_session


@dataclass
class ReadSession:
    """One session, read."""

    side: ComparedSession
    header: Mapping[str, Any]
    folder: Path | None
    digests: list[Digest]

    @property
    def start(self) -> float | None:
        """When it was recorded, in seconds since the epoch."""
        start = self.header.get("startTime")
        return start / 1000 if isinstance(start, (int, float)) else None

    @property
    def key_id(self) -> object:
        """Names the key by which secrets became marks."""
        redaction = self.header.get("redaction")
        return redaction.get("keyId") if isinstance(redaction, Mapping) else None


def read_session(path: str, spool: ContentSpool, options: DiffOptions) -> ReadSession:
    """Read a session; its contents are put into `spool`. Raises `SessionError`."""
    with open_session(path) as session:
        digests = _digests(session, spool, options)
        side = ComparedSession(
            session.name, len(digests), session.cut_off, tuple(session.problems), tuple(session.notes)
        )
        return ReadSession(side, session.header or {}, session.bodies_folder, digests)


def _digests(session: Session, spool: ContentSpool, options: DiffOptions) -> list[Digest]:
    builder = DigestBuilder(spool, options)
    if options.only is None:
        return builder.of_session(session)
    # Imported here: only an expression needs the filter language.
    from mockrec.formats.diff.only import ComparedExchanges

    only = ComparedExchanges(options.only, session.bodies_folder)
    return [digest for digest in builder.digests(only.watched(session)) if only.wanted(digest.id)]


def file_size(path: str) -> int:
    """Return the bytes of a file; 0 for anything else."""
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return 0
    return known.st_size if stat.S_ISREG(known.st_mode) else 0
