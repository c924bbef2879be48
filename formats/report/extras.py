"""What a record may say of its exchange beyond the schema's core: an operation, an endpoint, a scope.

The one place of the report that reads these keys. A session without them has none of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mockrec.formats.operations.readers import operation_of_record
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES

Record = Mapping[str, Any]

_NAMING = COMPLETE_TYPES | {"websocket-message-received"}
"""Types of records that may name an operation."""


def operations_of(record: Record, folder: Path | None) -> tuple[str, ...]:
    """Return the names of the operations that a request, or a message of a WebSocket, names (`query Cart`).

    `folder` has the bodies that are in files of their own.
    """
    found = record.get("operation")
    name = found.get("name") if isinstance(found, Mapping) else found
    if isinstance(name, str):
        return (name,)
    if record.get("type") not in _NAMING:
        return ()
    operation = operation_of_record(record, folder)
    return () if operation is None else operation.names


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
