"""Rows of named fields, made of the selected lines: one row for each exchange, or for each record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mockrec.formats.files.jsonl import load_record
from mockrec.formats.query.errors import FilterError
from mockrec.formats.query.extract import Context
from mockrec.formats.query.field import Field
from mockrec.formats.query.fields import resolve
from mockrec.formats.query.predicate import field_values
from mockrec.formats.query.tokens import Reader
from mockrec.formats.schema.lifecycle import ENDING_TYPES
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.sessions.units import SESSION

FieldRow = list[Any]
"""A value for each field: None if it has none, a list if it has several."""

DEFAULT_FIELDS = "time,status,method,url,duration,rule"


def parse_fields(text: str, *, records: bool = False) -> tuple[Field, ...]:
    """Parse a list of fields such as `status,header[user-agent]`. Raises `FilterError`, which shows the position."""
    reader = Reader(text)
    fields: list[Field] = []
    while True:
        name = reader.name()
        if name is None:
            raise FilterError(text, reader.position, f"expected a field, found {reader.found()}")
        fields.append(resolve(text, name, records=records))
        if reader.at_end:
            return tuple(fields)
        if not reader.sign(","):
            raise FilterError(text, reader.position, f"expected a comma, found {reader.found()}")


class FieldRows:
    """Makes rows of lines. Keeps only the rows of exchanges that have not ended."""

    def __init__(self, fields: tuple[Field, ...], contexts: list[Context], *, records: bool = False) -> None:
        self._fields = fields
        self._records = records
        self._values = [[field_values(field, context) for field in fields] for context in contexts]
        self._counted = {place: field.counted for place, field in enumerate(fields) if field.counted}
        self._last = [place for place, field in enumerate(fields) if field.name == "type"]
        """The fields whose last value counts, not the first."""
        self._open: dict[tuple[int, int], FieldRow] = {}

    def make(self, lines: Iterable[SelectedLine]) -> Iterator[FieldRow]:
        """The rows of ended exchanges, in the order in which they end, then those of exchanges without an end."""
        ended: set[tuple[int, int]] = set()
        for line in lines:
            if line.unit == SESSION:
                continue
            record = load_record(line.raw)
            key = (line.source, line.unit)
            if self._records:
                row: FieldRow = [None] * len(self._fields)
                self._add(record, line.source, row)
                yield row
                continue
            if key in ended:
                continue
            row = self._open.setdefault(key, [None] * len(self._fields))
            self._add(record, line.source, row)
            if record["type"] in ENDING_TYPES:
                ended.add(key)
                del self._open[key]
                yield row
        yield from self._open.values()

    def _add(self, record: dict[str, Any], source: int, row: FieldRow) -> None:
        for place, values in enumerate(self._values[source]):
            if row[place] is None or place in self._last:
                found = list(values(record))
                if found:
                    row[place] = found[0] if len(found) == 1 else found
        for place, kinds in self._counted.items():
            if record["type"] in kinds:
                row[place] = (row[place] or 0) + 1


def sort_rows(rows: Iterable[FieldRow], place: int, *, descending: bool) -> list[FieldRow]:
    """Sort rows by one field: numbers before texts. Rows without a value are last in either direction."""
    every = list(rows)
    present = [row for row in every if row[place] is not None]
    missing = [row for row in every if row[place] is None]

    def key(row: FieldRow) -> tuple[int, Any]:
        value = row[place]
        if isinstance(value, (int, float)):
            return (0, value)
        return (1, value if isinstance(value, str) else str(value))

    present.sort(key=key, reverse=descending)
    return present + missing
