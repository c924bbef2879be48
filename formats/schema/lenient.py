"""Reads values of unchecked records.

A session may have been edited by hand or written by another program. So a value of the wrong type is shown or left out,
and never an error; only `verify` reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_of(value: Any) -> str:
    """The value as text; empty for None."""
    return "" if value is None else str(value)


def number_of(value: Any) -> float | None:
    """The value, if it is a number."""
    return value if type(value) in (int, float) else None


def status_of(record: Mapping[str, Any]) -> int | None:
    """The `statusCode` of a record, if it is an integer."""
    value = record.get("statusCode")
    return value if type(value) is int else None


def object_of(value: Any) -> Mapping[str, Any]:
    """The value, if it is an object; otherwise an empty object."""
    return value if type(value) is dict or isinstance(value, Mapping) else {}
