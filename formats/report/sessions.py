"""Sessions → a gathered report, through a filter expression if there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from mockrec.formats.query.plan import Plan
from mockrec.formats.report.gather import Gathered
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.blocks import Progress, no_progress

Change = Callable[[bytes, Path | None], bytes]
"""Changes a line before it is read (`--redact`). It gets the folder of the session's body files."""


def gather(
    paths: Sequence[str],
    plan: Plan | None = None,
    *,
    limit: int,
    change: Change | None = None,
    progress: Progress = no_progress,
) -> tuple[Gathered, Selection]:
    """Read the sessions. Close what is returned. Raises `SessionError`."""
    gathered = Gathered(limit)
    selection = Selection(paths, plan, progress=progress)
    try:
        folders = [each.context.bodies_folder for each in selection.inputs]
        for line in selection:
            folder = folders[line.source]
            raw = line.raw if change is None else change(line.raw, folder)
            record = orjson.loads(raw)
            if isinstance(record, dict):
                gathered.add(record, folder, line.source)
    except BaseException:
        gathered.close()
        selection.close()
        raise
    for each in selection.inputs:
        if each.cut_off:
            gathered.summary.warn(each.name, each.cut_off)
        for problem in each.problems:
            gathered.summary.warn(each.name, problem)
    return gathered, selection
