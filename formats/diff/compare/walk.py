"""Walk through two nested documents side by side, with a stack of our own: no nesting takes Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

_Value = TypeVar("_Value")
_Path = TypeVar("_Path")
_Place = TypeVar("_Place", bound="Place[Any]")
_Change = TypeVar("_Change")


class Place(Generic[_Path]):
    """The place of two values. Its path is built if they differ, and kept, because most differences have siblings."""

    __slots__ = ("known_path", "parent")

    parent: Any
    """The place of the container, or None at the root. Subclasses set it and `known_path` in `__init__`."""
    known_path: _Path | None
    """The path, if it was built before; at the root from the beginning."""

    def extend(self, path: _Path) -> _Path:
        """Return the path to this place, from the path to its container."""
        raise NotImplementedError

    def path(self) -> _Path:
        """Return the path to this place."""
        places: list[Place[_Path]] = []
        place: Place[_Path] = self
        while (path := place.known_path) is None:
            places.append(place)
            place = place.parent
        for one in reversed(places):
            path = one.known_path = one.extend(path)
        return path


class ValuePair(NamedTuple, Generic[_Value, _Place]):
    """Two values that are still to be compared."""

    a: _Value
    b: _Value
    place: _Place


def walk(
    first: ValuePair[_Value, _Place],
    compare: Callable[[ValuePair[_Value, _Place]], Iterator[_Change | ValuePair[_Value, _Place]] | None],
) -> Iterator[_Change]:
    """Yield the changes of a pair, in A's order. `compare` yields the changes of one pair, and the pairs of its
    members, which are compared when it is their turn; None for equal values."""
    waiting: list[Iterator[_Change | ValuePair[_Value, _Place]]] = [iter([first])]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
        elif isinstance(found, ValuePair):
            members = compare(found)
            if members is not None:
                waiting.append(members)
        else:
            yield found
