"""Commands that read many sessions: what they skip is reported, and the exit code says so."""

from __future__ import annotations

import typer

from mockrec.cli import printing
from mockrec.cli.codes import SKIPPED
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.schema.errors import SessionError


def skipped_sessions(*, allowed: bool) -> Skipped:
    """Return the collector of sessions that cannot be read. `allowed`: they were found, not named one by one."""
    return Skipped(allowed, _report)


def _report(error: SessionError) -> None:
    printing.fail(f"skipped: {printing.escape(str(error))}")


def exit_if_skipped(skipped: Skipped) -> None:
    """End the command with its own exit code if a session was skipped."""
    if skipped.errors:
        printing.fail(f"{printing.plural(len(skipped.errors), 'session')} skipped, because of the errors above")
        raise typer.Exit(SKIPPED)
