"""What differs between two JSON documents, by path. Arrays of objects are compared by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mockrec.formats.diff.align import align
from mockrec.formats.diff.documents import dump, step, type_name
from mockrec.formats.diff.model import ABSENT, Item, Kind, Location
from mockrec.formats.diff.values import Values

_KEYS = ("id", "_id", "uuid", "key", "slug", "code", "name")
"""Members that may tell the items of an array apart, the best first."""
_MAX_DEPTH = 200
"""Below Python's limit for recursion; what lies deeper is compared as text."""


class Change(NamedTuple):
    """One place where two documents differ."""

    kind: Kind
    path: str
    """From A's document, or B's where A has no such place."""
    locations: tuple[Location | None, Location | None]
    a: Any
    b: Any


class _Place(NamedTuple):
    path: str
    a: Location
    b: Location

    def below(self, shown: str, a: Any, b: Any) -> _Place:
        return _Place(self.path + shown, (*self.a, a), (*self.b, b))


def compare(a: Any, b: Any, values: Values) -> Iterator[Change]:
    """The differences between two parsed documents, in A's order."""
    return _compare(a, b, _Place("$", (), ()), values)


def _compare(a: Any, b: Any, place: _Place, values: Values) -> Iterator[Change]:
    kind_a, kind_b = type_name(a), type_name(b)
    if kind_a != kind_b:
        yield Change(Kind.type, place.path, (place.a, place.b), a, b)
    elif isinstance(a, (dict, list)) and len(place.a) > _MAX_DEPTH:
        if _text(a, 0, values) != _text(b, 1, values):
            yield Change(Kind.value, place.path, (place.a, place.b), a, b)
    elif isinstance(a, dict):
        yield from _objects(a, b, place, values)
    elif isinstance(a, list):
        yield from _arrays(a, b, place, values)
    elif not values.same(a, b):
        yield Change(Kind.value, place.path, (place.a, place.b), a, b)


def _objects(a: dict[Any, Any], b: dict[Any, Any], place: _Place, values: Values) -> Iterator[Change]:
    for key, value in a.items():
        here = place.below(step(key), key, key)
        if key in b:
            if value is not b[key]:
                yield from _compare(value, b[key], here, values)
        else:
            yield Change(Kind.removed, here.path, (here.a, None), value, ABSENT)
    for key, value in b.items():
        if key not in a:
            here = place.below(step(key), key, key)
            yield Change(Kind.added, here.path, (None, here.b), ABSENT, value)


def _arrays(a: list[Any], b: list[Any], place: _Place, values: Values) -> Iterator[Change]:
    key = _key_of(a, b)
    if key is not None:
        yield from _keyed(a, b, key, place, values)
        return
    if len(a) == len(b):
        for index, (item_a, item_b) in enumerate(zip(a, b, strict=True)):
            yield from _compare(item_a, item_b, place.below(f"[{index}]", index, index), values)
        return
    texts_a = [_text(item, 0, values) for item in a]
    texts_b = [_text(item, 1, values) for item in b]
    for index_a, index_b in align(texts_a, texts_b):
        if index_a is None:
            assert index_b is not None
            yield Change(Kind.added, f"{place.path}[{index_b}]", (None, (*place.b, index_b)), ABSENT, b[index_b])
        elif index_b is None:
            yield Change(Kind.removed, f"{place.path}[{index_a}]", ((*place.a, index_a), None), a[index_a], ABSENT)
        elif texts_a[index_a] != texts_b[index_b]:
            yield from _compare(a[index_a], b[index_b], place.below(f"[{index_a}]", index_a, index_b), values)


def _keyed(a: list[Any], b: list[Any], key: str, place: _Place, values: Values) -> Iterator[Change]:
    places_b = {item[key]: index for index, item in enumerate(b)}
    places_a = {item[key]: index for index, item in enumerate(a)}
    for index, item in enumerate(a):
        told = f"{key}=={dump(item[key])}"
        shown = f"[?@.{told}]"
        other = places_b.get(item[key])
        if other is None:
            location = (*place.a, Item.of(index, told))
            yield Change(Kind.removed, place.path + shown, (location, None), item, ABSENT)
        else:
            here = place.below(shown, Item.of(index, told), Item.of(other, told))
            yield from _compare(item, b[other], here, values)
    for index, item in enumerate(b):
        if item[key] not in places_a:
            told = f"{key}=={dump(item[key])}"
            location = (*place.b, Item.of(index, told))
            yield Change(Kind.added, f"{place.path}[?@.{told}]", (None, location), ABSENT, item)
    order_a = [item[key] for item in a if item[key] in places_b]
    order_b = [item[key] for item in b if item[key] in places_a]
    if order_a != order_b:
        yield Change(Kind.moved, place.path, (place.a, place.b), order_a, order_b)


def _key_of(a: Sequence[Any], b: Sequence[Any]) -> str | None:
    """The member by which items are told apart: unique on both sides, and shared by half of the shorter one.

    None for arrays of other things, and where ids are new in each run: then the place decides.
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


def _text(value: Any, side: int, values: Values) -> str:
    """What is compared when items of arrays are brought together, and below the greatest depth."""
    try:
        return values.masked(dump(_sorted(value)), side)
    except RecursionError:
        return repr(type(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
