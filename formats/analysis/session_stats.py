"""Adds whole sessions to `Stats`: JSON Lines in decoded blocks, Parquet by columns, everything else line by line."""

from __future__ import annotations

from typing import Any

import msgspec

from mockrec.formats.analysis.stats import Stats
from mockrec.formats.analysis.stats_record import NEEDED, StatsRecord
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
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(StatsRecord)
    for records, lines in session.decoded(decoder.decode_lines):
        if records and not stats.may_have_operations(lines):
            stats.add_records(records)
        else:
            stats.add(SelectedLine(line, 0, 0) for line in lines.split(b"\n") if line.strip())
