"""Read and write JSON without loss: integers of any size, exact decimals, and repeated keys.

No function here is recursive, because the sender decides how deep a document is nested.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from mockrec.formats.diff.model.finding import Location
from mockrec.formats.text.json import is_deeper, refuse_constant

MAX_DEPTH = 500
"""Levels of a document that is compared by path, whatever Python's parser accepts. Deeper documents are compared as
text."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class TooDeep(ValueError):
    """A document of more than `MAX_DEPTH` levels."""


def parse(text: str) -> Any:
    """Parse a document. Raises `TooDeep` if it is nested too deep, and `ValueError` if it is not JSON.

    A byte order mark before it is ignored (RFC 8259, 8.1). A key that occurs twice in an object becomes `key` and
    `(key, 2)`, so that nothing is lost.
    """
    try:
        document = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_object,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=refuse_constant,
        )
    except RecursionError:
        raise TooDeep("nested too deep") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(document, MAX_DEPTH):
        raise TooDeep("nested too deep")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = dict(pairs)
    if len(made) == len(pairs):
        return made
    made = {}
    counts: dict[str, int] = {}
    for key, value in pairs:
        counts[key] = counts.get(key, 0) + 1
        made[key if counts[key] == 1 else (key, counts[key])] = value
    return made


def _integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return Decimal(digits)


def _decimal(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"no number: {digits[:40]}") from None


def plain(value: Any, number: Callable[[Decimal], Any] = str) -> Any:
    """Convert a value for `json.dumps`. `number` converts decimals that no float represents exactly."""
    root: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any]] = [(root, 0, value)]
    while waiting:
        holder, place, one = waiting.pop()
        if isinstance(one, dict):
            made: Any = {_name(key): None for key in one}
            waiting.extend((made, _name(key), item) for key, item in one.items())
        elif isinstance(one, (list, tuple)):
            made = [None] * len(one)
            waiting.extend((made, index, item) for index, item in enumerate(one))
        else:
            made = one if not isinstance(one, Decimal) else float(one) if is_float(one) else number(one)
        holder[place] = made
    return root[0]


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key[0])


def is_float(value: Decimal) -> bool:
    """True if a float with this value prints as the same number."""
    return Decimal(repr(float(value))) == value


def _scalar(value: Any) -> str:
    """Return the JSON text of a scalar. Numbers have all their digits."""
    if not isinstance(value, Decimal):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(float(value)) if is_float(value) else str(value)


def dump(value: Any) -> str:
    """Return the JSON text of a value, with repeated keys."""
    if not isinstance(value, (Mapping, list, tuple)):
        return _scalar(value)
    pieces: list[str] = []
    open_ones: list[tuple[Iterator[tuple[str, Any]], str]] = [(iter([("", value)]), "")]
    while open_ones:
        members, end = open_ones[-1]
        member = next(members, None)
        if member is None:
            pieces.append(end)
            open_ones.pop()
            continue
        before, one = member
        pieces.append(before)
        if isinstance(one, Mapping):
            pieces.append("{")
            open_ones.append((_named(one), "}"))
        elif isinstance(one, (list, tuple)):
            pieces.append("[")
            open_ones.append(((("" if index == 0 else ", ", item) for index, item in enumerate(one)), "]"))
        else:
            pieces.append(_scalar(one))
    return "".join(pieces)


def _named(members: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for index, (key, value) in enumerate(members.items()):
        yield f"{', ' if index else ''}{json.dumps(_name(key), ensure_ascii=False)}: ", value


def path_of(location: Location, start: str = "$") -> str:
    """Format a path: `$.items[3]['odd name']`."""
    return start + "".join(step(part) for part in location)


def step(part: str | int | tuple[str, int]) -> str:
    """Format one step of a path."""
    if isinstance(part, int):
        return f"[{part}]"
    if isinstance(part, tuple):
        return f"{step(part[0])}({part[1]})"
    if _PLAIN.fullmatch(part):
        return f".{part}"
    return "['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']"


def type_name(value: Any) -> str:
    """Return the name of a value's type in JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"
