"""Deltas: the exact difference between a predicted record and the real one.

A delta is `{"type", "set": {…}, "within": {key: delta}, "without": [keys], "order": [keys]}`; empty members are left
out. It restores the order of keys too, and distinguishes `1` from `1.0`: a session that is converted to HAR and back is
the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mockrec.formats.har.fields import items, mapping
from mockrec.formats.har.predicted import Predictor, Ranks, ranks_of
from mockrec.formats.text.json import dump

Record = dict[str, Any]
_ABSENT = object()
MAX_DEPTH = 20
"""Levels of nested deltas: more than any predicted record has."""


def _same(one: Any, other: Any) -> bool:
    kind = type(one)
    if kind is not type(other) or one != other:
        return False
    # Python's == ignores the difference of True and 1 inside lists, of 0.0 and -0.0, and of key orders.
    return kind in (str, int, bool, type(None)) or dump(one) == dump(other)


def diff(value: Mapping[str, Any], predicted: Mapping[str, Any], ranks: Ranks | None = None) -> Record:
    """Return the delta that turns `predicted` into `value`. `ranks`: the ranks that `patch` will get."""
    changed: Record = {}
    within: Record = {}
    for key, item in value.items():
        other = predicted.get(key, _ABSENT)
        kind = type(item)
        if kind is str:  # the usual case
            if item != other:
                changed[key] = item
        elif _same(item, other):
            continue
        elif kind is dict and type(other) is dict:
            within[key] = diff(item, other)
        else:
            changed[key] = item
    missing = [key for key in predicted if key not in value]
    delta: Record = {}
    if changed:
        delta["set"] = changed
    if within:
        delta["within"] = within
    if missing:
        delta["without"] = missing
    if not _restores_order(value, predicted, ranks):
        delta["order"] = list(value)
    return delta


def _restores_order(value: Mapping[str, Any], predicted: Mapping[str, Any], ranks: Ranks | None) -> bool:
    """True if `patch` restores the order of the keys without an `order` in the delta."""
    if ranks is None:
        merged = [key for key in predicted if key in value]
        return [*merged, *(key for key in value if key not in predicted)] == list(value)
    # Every predicted key has a rank, so keys without one keep the order that they have in `value`.
    order = list(map(ranks.__getitem__, value))
    return order == sorted(order)


def patch(
    predicted: Mapping[str, Any], delta: Mapping[str, Any], ranks: Ranks | None = None, levels: int = MAX_DEPTH
) -> Record:
    """Apply a delta: the inverse of `diff`. Never raises, even for a damaged delta. `levels`: limit of the nesting."""
    record = _merged(predicted, delta)
    for key, inner in mapping(delta.get("within")).items() if levels else ():
        record[key] = patch(mapping(record.get(key)), mapping(inner), levels=levels - 1)
    order = items(delta.get("order"))
    if order:
        named = {key: record[key] for key in order if isinstance(key, str) and key in record}
        return named | record
    return record if ranks is None else {key: record[key] for key in sorted(record, key=ranks.__getitem__)}


def _merged(predicted: Mapping[str, Any], delta: Mapping[str, Any]) -> Record:
    record = {**predicted, **mapping(delta.get("set"))}
    for key in items(delta.get("without")):
        if isinstance(key, str):
            record.pop(key, None)
    return record


def pack(entry: Mapping[str, Any], records: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Record]:
    """Return the deltas of an entry's records. Records come with their places in the session, which a delta stores as
    `at` where `seq` is another number."""
    predictor = Predictor(entry)
    packed: list[Record] = []
    for place, record in records:
        kind = record["type"]
        take = predictor.taken_bytes(record)
        delta: Record = {"type": kind}
        if record.get("seq") != place or type(record.get("seq")) is not int:
            delta["at"] = place
        if take is not None:
            delta["take"] = take
        packed.append(delta | diff(record, {"type": kind, **predictor.of(kind, take)}, ranks_of(kind)))
        predictor.observe(record)
    return packed


def unpack(entry: Mapping[str, Any], deltas: Sequence[Any]) -> Iterator[tuple[Any, Record]]:
    """Restore the records of an entry, with their places. Raises `ValueError` for an element that is not a delta."""
    predictor = Predictor(entry)
    for number, delta in enumerate(deltas):
        if not isinstance(delta, dict) or not isinstance(delta.get("type"), str):
            raise ValueError(f"_mockrec.events[{number}] is not the delta of a record: it has no type")
        kind, take = delta["type"], delta.get("take")
        take = take if type(take) is int and take >= 0 else None
        record = patch({"type": kind, **predictor.of(kind, take)}, delta, ranks_of(kind))
        if record.get("type") != kind:
            raise ValueError(f"_mockrec.events[{number}] changes the type of its record")
        yield delta.get("at", record.get("seq")), record
        predictor.observe(record)
