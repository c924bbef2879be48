"""Rows → columns of JSON, which compress to a fraction of what rows need and are read by the page as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mockrec.formats.report.gather import Gathered, ReportRow


def late_columns(rows: Sequence[ReportRow]) -> dict[str, Any]:
    """Return the columns that no first view needs: ids, and the microseconds to the last record."""
    return {"id": [row.id for row in rows], "span": [max(0, row.last - row.start) for row in rows]}


def columns(gathered: Gathered, rows: Sequence[ReportRow], sessions: Sequence[str]) -> dict[str, Any]:
    """Return the columns of these rows. Times are differences to the row before, in microseconds; durations are
    hundredths of milliseconds (-1: none), sizes bytes (-1: none)."""
    table: dict[str, Any] = {
        "count": len(rows),
        "kind": [row.kind for row in rows],
        "start": _differences(row.start for row in rows),
        "status": [row.status for row in rows],
        "duration": [-1 if row.duration is None else round(row.duration * 100) for row in rows],
        "requestSize": [-1 if row.request_size is None else row.request_size for row in rows],
        "size": [-1 if row.response_size is None else row.response_size for row in rows],
        "flags": [int(row.failed) + 2 * int(row.ended) for row in rows],
        "names": {"session": list(sessions)},
        "lists": {},
    }
    if len(sessions) > 1:
        table["session"] = [row.source for row in rows]
    for name in gathered.texts:
        numbers, used = _renumbered([getattr(row, name) for row in rows])
        values = gathered.texts[name].values
        _put(table, name, numbers, table["names"], [values[number] for number in used])
    for name in gathered.lists:
        numbers, used = _renumbered([getattr(row, name) for row in rows])
        lists = gathered.lists[name].values
        _put(table, name, numbers, table["lists"], [list(lists[number]) for number in used])
    table["messages"] = {str(place): row.messages for place, row in enumerate(rows) if row.messages}
    table["ticks"] = {str(place): list(row.ticks) for place, row in enumerate(rows) if row.ticks}
    return table


def _put(table: dict[str, Any], name: str, numbers: list[int], group: dict[str, Any], values: list[Any]) -> None:
    """Add a column of numbers and its values; a column with one value for all rows is left out."""
    group[name] = values
    if len(values) > 1:
        table[name] = numbers


def _renumbered(numbers: list[int]) -> tuple[list[int], list[int]]:
    """Number only the values that these rows have, in the order of their first use."""
    known: dict[int, int] = {}
    return [known.setdefault(number, len(known)) for number in numbers], list(known)


def _differences(values: Iterable[int]) -> list[int]:
    before, found = 0, []
    for value in values:
        found.append(value - before)
        before = value
    return found
