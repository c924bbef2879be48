"""Values that are repeated, each once, as numbers in the order of their first use. Number 0 is the empty value."""

from __future__ import annotations

from typing import Generic, TypeVar

ValueT = TypeVar("ValueT", str, tuple[str, ...])


class Names(Generic[ValueT]):
    """A dictionary of one column."""

    def __init__(self, empty: ValueT) -> None:
        self.values: list[ValueT] = [empty]
        self._numbers: dict[ValueT, int] = {empty: 0}

    def __contains__(self, value: object) -> bool:
        return value in self._numbers

    def number(self, value: ValueT) -> int:
        """Return the number of a value."""
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found
