"""Warnings that every command prints about a session that it has read to its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mockrec.cli import printing
from mockrec.formats.sessions.live import warning_for


class Read(Protocol):
    """What is asked of a session that was read to its end."""

    @property
    def name(self) -> str: ...
    @property
    def problems(self) -> Sequence[str]: ...
    @property
    def cut_off(self) -> str: ...


_SHOWN = 20


def warn_of(session: Read, letter: str = "") -> None:
    """Warn of parts that were left out, and of a missing end. `letter`: the session's name in a report."""
    name = printing.escape(session.name)
    shown = f"{letter}, {name}" if letter else name
    for problem in session.problems[:_SHOWN]:
        printing.warn(f"{shown}: {printing.escape(problem)}")
    if len(session.problems) > _SHOWN:
        printing.warn(f"{shown}: and {len(session.problems) - _SHOWN} more; `mockrec verify -v` lists them")
    if repaired := sum(note.startswith("repaired") for note in getattr(session, "notes", ())):
        how = printing.plural(repaired, "way")
        printing.note(f"{shown}: repaired in {how} while it was read; {_saying_how(session.name)}")
    if session.cut_off:
        printing.warn(f"{shown}: {warning_for(session.cut_off)}")


def _saying_how(name: str) -> str:
    """Return the command that lists the repairs; none for a session from a pipe, which has no name."""
    if name == "stdin" or not Path(name).is_file():
        return "`mockrec verify` of the file says how"
    return f"`mockrec verify {printing.escape(shlex.quote(name))}` says how"
