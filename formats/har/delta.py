"""What a record says beyond what its entry implies: a difference of objects that can be undone exactly.

A residual is `{"type", "set": {…}, "within": {key: residual}, "without": [keys], "order": [keys]}`, less what is empty.
Also the order of keys comes back, and `1` is not `1.0`: a session that went through a HAR is the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mockrec.formats.har.fields import items, mapping
from mockrec.formats.har.predicted import Implied, Ranks, rank_of
from mockrec.formats.text.json import dump

Record = dict[str, Any]
_ABSENT = object()
MAX_DEPTH = 20
"""Levels of objects that entries imply, and more."""


def _same(one: Any, other: Any) -> bool:
    kind = type(one)
    if kind is not type(other) or one != other:
        return False
    # Equal is not the same: True and 1 inside of lists, 0.0 and -0.0, the order of keys.
    return kind in (str, int, bool, type(None)) or dump(one) == dump(other)


def diff(value: Mapping[str, Any], implied: Mapping[str, Any], ranks: Ranks | None = None) -> Record:
    """What turns `implied` into `value`; `ranks` is the order that `patch` will be told."""
    changed: Record = {}
    within: Record = {}
    for key, item in value.items():
        other = implied.get(key, _ABSENT)
        kind = type(item)
        if kind is str:  # most are
            if item != other:
                changed[key] = item
        elif _same(item, other):
            continue
        elif kind is dict and type(other) is dict:
            within[key] = diff(item, other)
        else:
            changed[key] = item
    missing = [key for key in implied if key not in value]
    residual: Record = {}
    if changed:
        residual["set"] = changed
    if within:
        residual["within"] = within
    if missing:
        residual["without"] = missing
    if not _comes_in_order(value, implied, ranks):
        residual["order"] = list(value)
    return residual


def _comes_in_order(value: Mapping[str, Any], implied: Mapping[str, Any], ranks: Ranks | None) -> bool:
    """Whether `patch` puts the keys where they are without being told."""
    if ranks is None:
        merged = [key for key in implied if key in value]
        return [*merged, *(key for key in value if key not in implied)] == list(value)
    # Implied keys all have a rank, so that those without one keep the order they have in `value`.
    places = list(map(ranks.__getitem__, value))
    return places == sorted(places)


def patch(
    implied: Mapping[str, Any], residual: Mapping[str, Any], ranks: Ranks | None = None, levels: int = MAX_DEPTH
) -> Record:
    """`diff` undone. A residual that somebody damaged gives something, never an error; `levels`: how deep it may go."""
    record = _merged(implied, residual)
    for key, inner in mapping(residual.get("within")).items() if levels else ():
        record[key] = patch(mapping(record.get(key)), mapping(inner), levels=levels - 1)
    order = items(residual.get("order"))
    if order:
        named = {key: record[key] for key in order if isinstance(key, str) and key in record}
        return named | record
    return record if ranks is None else {key: record[key] for key in sorted(record, key=ranks.__getitem__)}


def _merged(implied: Mapping[str, Any], residual: Mapping[str, Any]) -> Record:
    record = {**implied, **mapping(residual.get("set"))}
    for key in items(residual.get("without")):
        if isinstance(key, str):
            record.pop(key, None)
    return record


def pack(entry: Mapping[str, Any], records: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Record]:
    """The residuals of an entry's records, which come with their places in the session: told where not `seq`."""
    implied = Implied(entry)
    packed: list[Record] = []
    for place, record in records:
        kind = record["type"]
        take = implied.taken(record)
        residual: Record = {"type": kind}
        if record.get("seq") != place or type(record.get("seq")) is not int:
            residual["at"] = place
        if take is not None:
            residual["take"] = take
        packed.append(residual | diff(record, {"type": kind, **implied.of(kind, take)}, rank_of(kind)))
        implied.learn(record)
    return packed


def unpack(entry: Mapping[str, Any], residuals: Sequence[Any]) -> Iterator[tuple[Any, Record]]:
    """The records again, with their places. `ValueError` for what is no residual."""
    implied = Implied(entry)
    for number, residual in enumerate(residuals):
        if not isinstance(residual, dict) or not isinstance(residual.get("type"), str):
            raise ValueError(f"_mockrec.events[{number}] is no residual of a record")
        kind, take = residual["type"], residual.get("take")
        take = take if type(take) is int and take >= 0 else None
        record = patch({"type": kind, **implied.of(kind, take)}, residual, rank_of(kind))
        if record.get("type") != kind:
            raise ValueError(f"_mockrec.events[{number}] says two things of its type")
        yield residual.get("at", record.get("seq")), record
        implied.learn(record)
