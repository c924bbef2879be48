"""Compare two JSON documents by path. Arrays of objects are compared by the objects' ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import fsum
from operator import ne
from typing import Any, NamedTuple

from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.alike import FEATURES, ComparisonBudget, Features, ItemLikeness, best_anywhere
from mockrec.formats.diff.compare.digests import Digests
from mockrec.formats.diff.compare.documents import dump, step, type_name
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.walk import Place, ValuePair, walk
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Item, Location

_KEYS = ("id", "_id", "uuid", "key", "slug", "code", "name")
"""Members that may identify the items of an array, the best first."""


class ValueChange(NamedTuple):
    """One place where two documents differ."""

    kind: DifferenceKind
    path: str
    """Path in A's document, or in B's if A has no such place."""
    locations: tuple[Location | None, Location | None]
    a: Any
    b: Any


class _TreePath(NamedTuple):
    """The path to a place: as it is shown, and the location in each document."""

    shown: str
    a: Location
    b: Location


class _TreePlace(Place[_TreePath]):
    """The place of two values in their documents."""

    __slots__ = ("a", "b")

    def __init__(self, parent: _TreePlace | None, a: Any, b: Any) -> None:
        """`a` and `b`: key or index of the value in either container, or `ABSENT`."""
        self.parent = parent
        self.known_path = None if parent is not None else _TreePath("$", (), ())
        self.a = a
        self.b = b

    def extend(self, path: _TreePath) -> _TreePath:
        """See `Place`."""
        shown = _shown(self.b if self.a is ABSENT else self.a)
        return _TreePath(path.shown + shown, (*path.a, self.a), (*path.b, self.b))

    @property
    def location(self) -> Location:
        """The location in A's document."""
        return self.path().a

    def change(self, kind: DifferenceKind, a: Any, b: Any) -> ValueChange:
        """Return a difference at this place; a side without a value there has no location."""
        path = self.path()
        locations = None if a is ABSENT else path.a, None if b is ABSENT else path.b
        return ValueChange(kind, path.shown, locations, a, b)


_TreePair = ValuePair[Any, _TreePlace]
_Found = Iterator[ValueChange | _TreePair]


def compare(a: Any, b: Any, values: ValueComparer) -> Iterator[ValueChange]:
    """Yield the differences between two parsed documents, in A's order."""
    return walk(ValuePair(a, b, _TreePlace(None, None, None)), _TreeComparison(values).members)


class _TreeComparison:
    def __init__(self, values: ValueComparer) -> None:
        self._values = values
        self._digests = Digests(values)
        self._budget = ComparisonBudget()

    def members(self, pair: _TreePair) -> _Found | None:
        """Yield changes of two values, and pairs of their members; None for equal scalars. See `walk`."""
        a, b, place = pair
        if type_name(a) != type_name(b):
            return iter([place.change(DifferenceKind.type, a, b)])
        if isinstance(a, dict):
            return self._objects(a, b, place)
        if isinstance(a, list):
            return self._arrays(a, b, place)
        return None if self._values.same(a, b) else iter([place.change(DifferenceKind.value, a, b)])

    def _objects(self, a: dict[Any, Any], b: dict[Any, Any], place: _TreePlace) -> _Found:
        partners = self._partners(a, b)
        for key, value in a.items():
            other = key if key in b else partners.get(key, ABSENT)
            if other is ABSENT:
                yield _TreePlace(place, key, ABSENT).change(DifferenceKind.removed, value, ABSENT)
            elif value is not b[other]:
                yield ValuePair(value, b[other], _TreePlace(place, key, other))
        taken = set(partners.values())
        for key, value in b.items():
            if key not in a and key not in taken:
                yield _TreePlace(place, ABSENT, key).change(DifferenceKind.added, ABSENT, value)

    def _partners(self, a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
        """Pair volatile names in A and in B, as in an object whose keys are ids. Names are paired if they have the same
        form, and no other name of their side has it."""
        only_a = [key for key in a if key not in b and isinstance(key, str)]
        only_b = [key for key in b if key not in a and isinstance(key, str)] if only_a else []
        if not only_b:
            return {}
        forms_a, forms_b = (
            _by_form(names, [self._values.masked(name, side) for name in names])
            for side, names in enumerate((only_a, only_b))
        )
        return {name: forms_b[form] for form, name in forms_a.items() if form in forms_b}

    def _arrays(self, a: list[Any], b: list[Any], place: _TreePlace) -> _Found:
        key = _key_of(a, b)
        any_order = bool(self._values.any_order) and any(holds(place.location) for holds in self._values.any_order)
        if key is not None:
            yield from _keyed(a, b, key, place, any_order=any_order)
            return
        if any_order:
            yield from self._multisets(a, b, place)
            return
        digests_a = [self._digests.of(item, 0) for item in a]
        digests_b = [self._digests.of(item, 1) for item in b]
        for index_a, index_b in self._side_by_side(a, b, digests_a, digests_b):
            if index_a is None:
                assert index_b is not None
                yield _TreePlace(place, ABSENT, index_b).change(DifferenceKind.added, ABSENT, b[index_b])
            elif index_b is None:
                yield _TreePlace(place, index_a, ABSENT).change(DifferenceKind.removed, a[index_a], ABSENT)
            elif digests_a[index_a] != digests_b[index_b]:
                yield ValuePair(a[index_a], b[index_b], _TreePlace(place, index_a, index_b))

    def _side_by_side(
        self, a: list[Any], b: list[Any], digests_a: list[str], digests_b: list[str]
    ) -> Sequence[tuple[int | None, int | None]]:
        """Pair the items of two arrays: by index, unless fewer members differ if some items are added or removed."""
        by_place = [(index, index) for index in range(len(a))] if len(a) == len(b) else None
        if by_place is not None and sum(map(ne, digests_a, digests_b)) < 2:
            return by_place
        weigh = self._likeness(a, b)
        aligned = list(align(digests_a, digests_b, weigh))
        if by_place is None:
            return aligned

        def different(pairs: Sequence[tuple[int | None, int | None]]) -> float:
            return fsum(
                weigh.difference(i, j) for i, j in pairs if i is None or j is None or digests_a[i] != digests_b[j]
            )

        return aligned if different(aligned) < different(by_place) else by_place

    def _likeness(self, a: list[Any], b: list[Any]) -> ItemLikeness:
        self._budget.earn(len(a) + len(b))
        return ItemLikeness(lambda i: self._features(a[i], 0), lambda j: self._features(b[j], 1), self._budget)

    def _features(self, item: Any, side: int) -> Features:
        """Return the features of an item; a scalar has none, because unequal scalars are never alike."""
        if isinstance(item, dict):
            named = islice(item.items(), FEATURES)
            # The name alone is a feature too: objects of one type are more alike than others.
            return frozenset([part for key, value in named for part in (key, (key, self._digests.of(value, side)))])
        if isinstance(item, list):
            return frozenset([self._digests.of(value, side) for value in item[:FEATURES]])
        return frozenset()

    def _multisets(self, a: list[Any], b: list[Any], place: _TreePlace) -> _Found:
        """Compare arrays in any order: equal items are paired, then other containers by likeness; scalars without an
        equal are added or removed."""
        waiting: dict[str, list[int]] = {}
        for index in reversed(range(len(b))):
            waiting.setdefault(self._digests.of(b[index], 1), []).append(index)
        left_a = []
        for index, item in enumerate(a):
            same = waiting.get(self._digests.of(item, 0))
            if same:
                same.pop()
            else:
                left_a.append(index)
        left_b = sorted(index for indexes in waiting.values() for index in indexes)
        inner_a = [index for index in left_a if isinstance(a[index], (dict, list))]
        inner_b = [index for index in left_b if isinstance(b[index], (dict, list))]
        weigh = self._likeness(a, b)
        pairs = best_anywhere(len(inner_a), len(inner_b), lambda i, j: weigh(inner_a[i], inner_b[j]), self._budget)
        couples = {inner_a[i]: inner_b[j] for i, j in pairs}
        for index in left_a:
            if index in couples:
                yield ValuePair(a[index], b[couples[index]], _TreePlace(place, index, couples[index]))
            else:
                yield _TreePlace(place, index, ABSENT).change(DifferenceKind.removed, a[index], ABSENT)
        taken = set(couples.values())
        for index in left_b:
            if index not in taken:
                yield _TreePlace(place, ABSENT, index).change(DifferenceKind.added, ABSENT, b[index])


def _shown(part: Any) -> str:
    return f"[?@.{part.expression}]" if isinstance(part, Item) else step(part)


def _by_form(names: list[str], forms: list[str]) -> dict[str, str]:
    """Return form → name, for forms that only one name has."""
    found: dict[str, str] = {}
    several = set()
    for name, form in zip(names, forms, strict=True):
        if form in found:
            several.add(form)
        found[form] = name
    return {form: name for form, name in found.items() if form not in several}


def _keyed(a: list[Any], b: list[Any], key: str, place: _TreePlace, *, any_order: bool) -> _Found:
    places_b = {item[key]: index for index, item in enumerate(b)}
    places_a = {item[key]: index for index, item in enumerate(a)}
    for index, item in enumerate(a):
        label = f"{key}=={dump(item[key])}"
        other = places_b.get(item[key])
        if other is None:
            yield _TreePlace(place, Item.of(index, label), ABSENT).change(DifferenceKind.removed, item, ABSENT)
        else:
            yield ValuePair(item, b[other], _TreePlace(place, Item.of(index, label), Item.of(other, label)))
    for index, item in enumerate(b):
        if item[key] not in places_a:
            label = f"{key}=={dump(item[key])}"
            yield _TreePlace(place, ABSENT, Item.of(index, label)).change(DifferenceKind.added, ABSENT, item)
    order_a = [item[key] for item in a if item[key] in places_b]
    order_b = [item[key] for item in b if item[key] in places_a]
    if order_a != order_b and not any_order:
        yield place.change(DifferenceKind.moved, order_a, order_b)


def _key_of(a: Sequence[Any], b: Sequence[Any]) -> str | None:
    """Return the member that identifies the items: unique on both sides, and half of the shorter side's values are on
    the other side too.

    None for arrays of other types, and if ids are new in each run: then items are paired by index.
    """
    if not (a and b and isinstance(a[0], dict)) or not all(isinstance(item, dict) for item in (*a, *b)):
        return None
    for key in _KEYS:
        found_a, found_b = _ids(a, key), _ids(b, key)
        if found_a and found_b and 2 * len(found_a & found_b) >= min(len(a), len(b)):
            return key
    return None


def _ids(items: Sequence[Any], key: str) -> set[Any]:
    found = {item[key] for item in items if type(item.get(key)) in (str, int)}
    return found if len(found) == len(items) else set()
