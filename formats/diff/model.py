"""The words of a comparison: digest, pair, finding, difference, and what was asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from mockrec.formats.query import Plan

Location = tuple[str | int | tuple[str, int], ...]
"""Keys and indexes on the way to a value of a JSON document; a repeated key is `(name, 2)`."""


class Item(int):
    """The index of an array's item that is known by its id."""

    told: str
    """For example `id=="x"`."""

    @classmethod
    def of(cls, index: int, told: str) -> Item:
        """An index with what it is known by."""
        item = cls(index)
        item.told = told
        return item


class Severity(StrEnum):
    """How much a difference matters to those who use the server."""

    breaking = "breaking"
    """A client that worked may not work any more: a status, a lost field, another type."""
    changed = "changed"
    """Something else is said: a value, a new field, another header."""
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


class Endpoint(NamedTuple):
    """Exchanges with the same purpose: method, host and path with its ids taken out."""

    method: str
    host: str
    """Empty for the recorder itself."""
    template: str

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.template}"


class Digest(Struct, gc=False):
    """What is remembered of an exchange. Contents are numbers of the spool; equal numbers are equal contents."""

    id: str
    kind: str
    """The type of the record that ended it; `open` when nothing did."""
    method: str
    url: str
    host: str = ""
    target: int = 0
    """Where in the URL path and query begin."""
    status: int | None = None
    request_body: int = 0
    """A hash of the body; 0 when there is none."""
    request: int = -1
    """The whole request, only where requests are compared."""
    response: int = -1
    messages: array[int] | None = None
    """Of a WebSocket: one number a message, in order, those from the client negative (`~number`)."""
    duration: float | None = None
    first_byte: float | None = None
    """Milliseconds until the head of the response was sent."""
    replay_of: str = ""
    cut: bool = False
    """Only the beginning of the response's body was recorded."""
    marker: str = ""
    """The value of the header that pairs exchanges, where one was named."""
    endpoint: Endpoint | None = None


class Pair(NamedTuple):
    """Two exchanges that are compared."""

    a: Digest
    b: Digest
    by: str
    """Which rule paired them."""


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
    """A finding that counts, with its place. Equal ones of an endpoint are told once."""

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
    """How many different differences it stands for: a place that says something else each time is told once."""


@dataclass(slots=True)
class OnlyIn:
    """Exchanges of one session without a partner in the other. Equal ones of an endpoint are told once."""

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


AnyOrder = Callable[[Location], bool]
"""Whether the order of the array at a place does not count."""


@dataclass(frozen=True)
class DiffOptions:
    """How sessions are compared; what to do with the findings is `collect.Filters`."""

    strict: bool = False
    """Compare volatile values as they are."""
    requests: bool = False
    """Compare requests too; otherwise they only pair."""
    timing: bool = False
    map_host: dict[str, str] = field(default_factory=dict)
    """Host of A → host of B."""
    pair_header: str = ""
    """A request header, in lower case, that names an exchange."""
    any_order: tuple[AnyOrder, ...] = ()
    """Arrays of JSON in which the order says nothing."""
    only: Plan | None = None
    """Which exchanges are compared at all."""
