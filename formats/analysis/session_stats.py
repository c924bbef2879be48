"""Adds whole sessions to `Stats`: JSON Lines in decoded blocks, Parquet by columns, everything else line by line."""

from __future__ import annotations

from mockrec.formats.analysis.stats import Stats
from mockrec.formats.analysis.stats_blocks import StatsBlocks
from mockrec.formats.analysis.stats_record import NEEDED
from mockrec.formats.query.plan import Plan
from mockrec.formats.select.inputs import Input, SelectedLine
from mockrec.formats.select.selection import Selection


def add_session(stats: Stats, selection: Selection, plan: Plan | None) -> None:
    """Add the lines of a selection of one session. `plan` is the one of the selection; None: all lines."""
    stats.end_session()
    selection.only(NEEDED)
    (session,) = selection.inputs
    if plan is not None:
        stats.add(selection)
    elif isinstance(session, Input):
        _add_lines(stats, session)
    else:
        # Imported here: only Parquet needs pyarrow.
        from mockrec.formats.analysis.stats_columns import ColumnStats

        columns = ColumnStats(stats)
        for batch in session.columns(columns.names) or ():
            columns.add(batch, session.rows_again)


def _add_lines(stats: Stats, session: Input) -> None:
    with StatsBlocks(session.blocks.path) as blocks:
        for counted, lines in session.decoded(blocks.decode):
            if counted is None or stats.may_have_operations(b"") or not counted.add_to(stats):
                stats.add(SelectedLine(line, 0, 0) for line in lines.split(b"\n") if line.strip())
