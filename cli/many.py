"""Commands that read many sessions: what they skip is reported, and the exit code says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from mockrec.cli import printing
from mockrec.cli.codes import SKIPPED
from mockrec.cli.reading import Read, warn_of
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.schema.errors import SessionError

_SHOWN = 20
"""Sessions of which something is said; the rest is counted."""


def skipped_sessions(*, allowed: bool) -> Skipped:
    """Return the collector of sessions that cannot be read. `allowed`: they were found, not named one by one."""
    return Skipped(allowed, _report)


def _report(error: SessionError) -> None:
    printing.fail(f"skipped: {printing.escape(str(error))}")


@contextmanager
def skipping(skipped: Skipped) -> Iterator[None]:
    """Context in which a session that cannot be read is left out, if it may be."""
    try:
        yield
    except SessionError as error:
        skipped.add(error)


def warn_of_all(read: Sequence[Read]) -> None:
    """Warn of parts that were left out of sessions, and of missing ends; of many sessions, of the first ones."""
    unusual = [session for session in read if session.problems or session.cut_off or getattr(session, "notes", ())]
    for session in unusual[:_SHOWN]:
        warn_of(session)
    if len(unusual) > _SHOWN:
        printing.warn(f"and {printing.plural(len(unusual) - _SHOWN, 'session')} more that are not complete")


def exit_if_skipped(skipped: Skipped) -> None:
    """End the command with its own exit code if a session was skipped."""
    if skipped.errors:
        printing.fail(f"{printing.plural(len(skipped.errors), 'session')} skipped, because of the errors above")
        raise typer.Exit(SKIPPED)
