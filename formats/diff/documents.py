"""JSON as it was written: integers of any size, exact decimals, and keys that are repeated."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from mockrec.formats.diff.model import Location

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse(text: str) -> Any:
    """A document. `ValueError` when it is none, or one that is nested too deep.

    A key that stands twice in an object is `key` and then `(key, 2)`, so that nothing is lost.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


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


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def plain(value: Any) -> Any:
    """A value as `json.dumps` takes it; a decimal becomes a float where that says the same."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else key[0]: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def dump(value: Any) -> str:
    """A value as JSON text."""
    return json.dumps(plain(value), ensure_ascii=False)


def path_of(location: Location, start: str = "$") -> str:
    """`$.items[3]['odd name']`."""
    return start + "".join(step(part) for part in location)


def step(part: str | int | tuple[str, int]) -> str:
    """One step of a path."""
    if isinstance(part, int):
        return f"[{part}]"
    if isinstance(part, tuple):
        return f"{step(part[0])}({part[1]})"
    if _PLAIN.fullmatch(part):
        return f".{part}"
    return "['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']"


def type_name(value: Any) -> str:
    """The type of a value in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"
