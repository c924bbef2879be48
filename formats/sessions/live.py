"""Sessions that are still being recorded: they have no end yet, but nothing has cut them off."""

from __future__ import annotations

from pathlib import Path

from mockrec.formats.files.locks import held_by, is_held
from mockrec.formats.parquet.journal_lock import RECORDER
from mockrec.formats.parquet.paths import is_uri, journal_of

_LIVE = "it is still being recorded"


def recorder_of(path: str) -> str:
    """Who is writing a session (`process 1234`, `another program`); empty where nobody is."""
    if path == "-" or is_uri(path):
        return ""
    for lock in (Path(path), journal_of(path) / RECORDER, Path(path, RECORDER)):
        if is_held(lock):
            return held_by(lock)
    return ""


def why_incomplete(path: str, torn: str, *, ended: bool) -> str:
    """Why a session that was just read to its end is not complete; empty when it is. `torn`: what is cut off there."""
    if ended and not torn:
        return ""
    if who := recorder_of(path):
        return f"{_LIVE} by {who}"
    return torn or "it has no session-ended record at its end"


def is_live(reason: str) -> bool:
    """Whether what `why_incomplete` says is that the session is still being recorded."""
    return reason.startswith(_LIVE)


def told(reason: str) -> str:
    """The same as a sentence for a warning."""
    return f"{reason}: what was there has been read" if is_live(reason) else f"the session was cut off: {reason}"
