"""Statistics of many sessions: those in Parquet by columns, all others by lines. The result is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.fleet.fetching import fetched
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.session import Reading


def add_sessions(
    collected: Stats, paths: Sequence[str], plan: Plan | None, skipped: Skipped, progress: Progress = no_progress
) -> Iterator[Reading]:
    """Add sessions one by one, and yield what is to be said about each. Sessions that cannot be read are skipped."""
    for path in fetched(paths):
        try:
            # Of a session that is damaged further on, nothing is to be counted.
            own = Stats() if skipped.allowed else collected
            reading = _add(own, path, plan, progress)
            if own is not collected:
                collected.merge(own)
        except SessionError as error:
            skipped.add(error)
        else:
            yield reading


def _add(collected: Stats, path: str, plan: Plan | None, progress: Progress) -> Reading:
    selection = Selection([path], plan, progress=progress)
    try:
        collected.bodies_folders = [known.context.bodies_folder for known in selection.inputs]
        add_session(collected, selection, plan)
        (known,) = selection.inputs
        return Reading(known.name, tuple(known.problems), known.cut_off, tuple(getattr(known, "notes", ())))
    finally:
        selection.close()
