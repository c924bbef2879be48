"""What a name of the language means: a field, and the places in a record where its values stand."""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.formats.query.extract import Extract
from mockrec.formats.query.values import NO_FOLDING, FieldType, Folding


@dataclass(frozen=True, slots=True)
class FieldPath:
    """One place where a field's values stand."""

    path: tuple[str, ...]
    types: frozenset[str] | None = None
    """Record types it counts in; None: all."""
    extract: Extract | None = None
    """Makes values of what stands there; None: it is the value, or the list of values."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name of the language, resolved."""

    name: str
    kind: FieldType
    sources: tuple[FieldPath, ...]
    first: bool = False
    """Only the first source that is there counts."""
    folding: Folding = NO_FOLDING
    counted: frozenset[str] | None = None
    """The field is the number of the exchange's records of these types."""
