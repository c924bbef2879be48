"""What every command says of a session that it has read to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mockrec.cli import printing
from mockrec.formats.live import told


class Read(Protocol):
    """A session that has been read to its end."""

    @property
    def name(self) -> str: ...
    @property
    def problems(self) -> Sequence[str]: ...
    @property
    def cut_off(self) -> str: ...


_SHOWN = 20


def warn_of(session: Read) -> None:
    """Warn of what had to be left out, and of an end that is missing."""
    name = printing.escape(session.name)
    for problem in session.problems[:_SHOWN]:
        printing.warn(f"{name}: {printing.escape(problem)}")
    if len(session.problems) > _SHOWN:
        printing.warn(f"{name}: and {len(session.problems) - _SHOWN} more; `mockrec verify -v` lists them")
    if repaired := sum(note.startswith("repaired") for note in getattr(session, "notes", ())):
        how = printing.plural(repaired, "way")
        printing.note(f"{name}: repaired in {how} while it was read; `mockrec verify {name}` says how")
    if session.cut_off:
        printing.warn(f"{name}: {told(session.cut_off)}")
