"""Values of records that nobody has checked.

A session may be edited by hand or come from elsewhere: a value of the wrong type is shown or left out, never a reason
to fail. `verify` is who complains about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_of(value: Any) -> str:
    """The value as text; empty for none."""
    return "" if value is None else str(value)


def number_of(value: Any) -> float | None:
    """The value, if it is a number."""
    return value if type(value) in (int, float) else None


def status_of(record: Mapping[str, Any]) -> int | None:
    """The `statusCode` of a record, if it is one."""
    value = record.get("statusCode")
    return value if type(value) is int else None


def object_of(value: Any) -> Mapping[str, Any]:
    """The value, if it is an object; an empty one otherwise."""
    return value if type(value) is dict or isinstance(value, Mapping) else {}
