"""A difference: what it is about, how much it matters, and the values of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from mockrec.formats.diff.model.exchange import Endpoint

Location = tuple[str | int | tuple[str, int], ...]
"""Keys and indexes on the way to a value of a JSON document; a repeated key is `(name, 2)`."""


class Item(int):
    """The index of an array's item that is known by its id."""

    expression: str
    """For example `id=="x"`."""

    @classmethod
    def of(cls, index: int, expression: str) -> Item:
        """Return the index with the expression that identifies the item."""
        item = cls(index)
        item.expression = expression
        return item


class Severity(StrEnum):
    """How much a difference matters to those who use the server."""

    breaking = "breaking"
    """A client that worked may not work any more: a status, a lost field, another type."""
    changed = "changed"
    """A value, a new field or another header differs."""
    info = "info"
    """Worth knowing, and never a reason to fail."""


class DifferenceKind(StrEnum):
    """What sort of difference it is."""

    added = "added"
    removed = "removed"
    type = "type"
    value = "value"
    moved = "moved"
    status = "status"
    header = "header"
    calls = "count"
    timing = "timing"


class Absent:
    """The type of `ABSENT`: a side has no such thing at all, which is not the same as null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about, in the words of selectors."""

    message: str
    """`request`, `response`, or empty for what belongs to neither."""
    area: str
    """`status`, `header`, `cookie`, `json`, `form`, `text`, `body`, `trailer`, `count`, `timing`, `error`, …"""
    name: str = ""
    """Of the header, cookie, field or part."""
    locations: tuple[Location | None, Location | None] = (None, None)
    """In A's and in B's document."""


@dataclass(slots=True)
class Finding:
    """One thing that differs."""

    kind: DifferenceKind
    severity: Severity
    path: str
    """For people, and where possible a selector that `--ignore` takes."""
    subject: Subject
    a: Any = ABSENT
    b: Any = ABSENT


@dataclass(slots=True)
class Difference:
    """A finding that counts, with its place. Equal differences of an endpoint are reported once."""

    finding: Finding
    endpoint: Endpoint
    fingerprint: str
    method: str
    url: str
    id_a: str
    id_b: str
    paired_by: str
    occurrences: int = 1
    values: int = 1
    """Number of distinct values merged into it: a place whose values always differ is reported once."""


@dataclass(slots=True)
class OnlyIn:
    """Exchanges of one session without a partner in the other. Equal ones of an endpoint are reported once."""

    endpoint: Endpoint
    fingerprint: str
    method: str
    url: str
    id: str
    status: int | None
    severity: Severity
    nearest: str = ""
    """An endpoint of the other session that may be meant."""
    occurrences: int = 1
