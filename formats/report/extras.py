"""What a record may say of its exchange beyond the schema's core: an operation, an endpoint, a scope.

The one place of the report that reads these keys. A session without them has none of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]


def operation_of(record: Record) -> str:
    """Return the name of the operation (`query Cart`); empty without one."""
    found = record.get("operation")
    if isinstance(found, Mapping):
        found = found.get("name")
    return found if isinstance(found, str) else ""


def endpoint_of(record: Record) -> str:
    """Return the endpoint that the record names; empty if it has to be derived from the URL."""
    found = record.get("endpoint")
    return found if isinstance(found, str) else ""


def scope_of(record: Record) -> str:
    """Return the scope (the test) that the exchange belongs to; empty without one."""
    found = record.get("scope")
    return found if isinstance(found, str) else ""


def outcome_of(record: Record) -> str:
    """Return the outcome of the record's scope, as in a record that closes it; empty without one."""
    found = record.get("outcome")
    return found if isinstance(found, str) and scope_of(record) else ""
