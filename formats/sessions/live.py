"""Whether a session without an end is still being recorded, or was cut off."""

from __future__ import annotations

from pathlib import Path

from mockrec.formats.files.locks import held_by, is_held
from mockrec.formats.parquet.journal_lock import RECORDER
from mockrec.formats.parquet.paths import is_uri, journal_of

_LIVE = "it is still being recorded"


def recorder_of(path: str) -> str:
    """The process that is recording a session (`process 1234`, `another program`); empty if there is none."""
    if path == "-" or is_uri(path):
        return ""
    for lock in (Path(path), journal_of(path) / RECORDER, Path(path, RECORDER)):
        if is_held(lock):
            return held_by(lock)
    return ""


def why_incomplete(path: str, torn: str, *, ended: bool) -> str:
    """Why a session that was read to its end is not complete; empty if it is complete.

    `torn` is the sentence about a line or frame that is cut off, `ended` whether the last record is `session-ended`.
    """
    if ended and not torn:
        return ""
    if recorder := recorder_of(path):
        return f"{_LIVE} by {recorder}"
    return torn or "it has no session-ended record at its end"


def is_live(reason: str) -> bool:
    """Whether a reason that `why_incomplete` returned says that the session is still being recorded."""
    return reason.startswith(_LIVE)


def warning_for(reason: str) -> str:
    """A warning that contains a reason of `why_incomplete`."""
    return f"{reason}: what was there has been read" if is_live(reason) else f"the session was cut off: {reason}"
