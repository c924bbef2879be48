"""JSON that is nested deeply: text of others in any depth, and text of values that wrap records, of which orjson takes
no more than 254 levels.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson


class NestedTooDeepError(ValueError):
    """JSON that is nested deeper than Python's limit."""


def parse(text: bytes | str) -> Any:
    """JSON that somebody else has written (RFC 8259: no NaN, no Infinity), with all digits of its integers.

    Raises ValueError, and NestedTooDeepError, which is one.
    """
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise NestedTooDeepError("the JSON is nested too deeply") from None


def refuse_constant(name: str) -> NoReturn:
    """Reject NaN and Infinity: the `parse_constant` of a parser that reads JSON only."""
    raise ValueError(f"{name} is no JSON")


def dump(value: Any, *, sort: bool = False) -> bytes:
    """Compact JSON of a value, however it is nested up to Python's limit; `sort`: with its keys in order."""
    try:
        return orjson.dumps(value, None, orjson.OPT_SORT_KEYS if sort else 0)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort, default=_fragment)
        return text.encode("utf-8", "surrogatepass")


def _fragment(value: Any) -> Any:
    """What stands in a value as text already."""
    if isinstance(value, orjson.Fragment):
        return orjson.loads(orjson.dumps(value))
    raise TypeError(f"no JSON has a {type(value).__name__}")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether containers are nested in one another more than so many times."""
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
