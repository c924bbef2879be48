"""How deep JSON is nested, and JSON text of values that wrap records: orjson takes no more than 254 levels."""

from __future__ import annotations

import json
from typing import Any

import orjson


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
