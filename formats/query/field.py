"""The meaning of a name of the language: a field, and the paths in a record at which its values are."""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.formats.query.extract import Extract
from mockrec.formats.query.values import NO_FOLDING, FieldType, Folding


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path at which a field has values."""

    path: tuple[str, ...]
    types: frozenset[str] | None = None
    """Record types in which it counts; None: all."""
    extract: Extract | None = None
    """Makes the values of the recorded value; None: that is the value, or the list of values."""
    also: tuple[tuple[str, ...], ...] = ()
    """Further paths that `extract` needs: it gets a tuple of the value and of theirs, None where there is none."""

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """All paths that are read."""
        return (self.path, *self.also)


@dataclass(frozen=True, slots=True)
class Field:
    """A name of the language, resolved."""

    name: str
    kind: FieldType
    sources: tuple[FieldPath, ...]
    first: bool = False
    """Only the first source that the record has counts."""
    folding: Folding = NO_FOLDING
    counted: frozenset[str] | None = None
    """The field is the number of the exchange's records of these types."""
