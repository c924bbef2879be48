"""JSON with Python's limit of nesting, not with that of orjson, which takes at most 254 levels.

`parse` reads JSON from other programs; `dump` also writes values that wrap a record, which itself may have 254 levels.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 254
"""The deepest nesting of a record. The recorder cannot write a deeper one, and recursive readers need the limit."""


class NestedTooDeepError(ValueError):
    """The JSON is nested more deeply than Python's limit."""


def parse(text: bytes | str) -> Any:
    """Parse JSON (RFC 8259: no NaN, no Infinity), with all digits of its integers.

    Raises ValueError, of which NestedTooDeepError is a subclass.
    """
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise NestedTooDeepError("the JSON is nested too deeply") from None


def refuse_constant(name: str) -> NoReturn:
    """Reject NaN and Infinity: the `parse_constant` of a parser that reads JSON only."""
    raise ValueError(f"{name} is no JSON")


def dump(value: Any, *, sort: bool = False) -> bytes:
    """Compact JSON of a value, nested up to Python's limit; with `sort`, keys are in order."""
    try:
        return orjson.dumps(value, None, orjson.OPT_SORT_KEYS if sort else 0)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort, default=_fragment)
        return text.encode("utf-8", "surrogatepass")


def _fragment(value: Any) -> Any:
    """The value of an `orjson.Fragment`, which holds JSON text."""
    if isinstance(value, orjson.Fragment):
        return orjson.loads(orjson.dumps(value))
    raise TypeError(f"no JSON has a {type(value).__name__}")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether containers are nested more than `levels` deep."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return bool(level)
