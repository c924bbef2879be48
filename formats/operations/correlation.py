"""The ids by which clients tell answers apart on one WebSocket: of JSON-RPC and of GraphQL's sub-protocols.

Clients choose them at random or count them up, so a recording that is served must answer with the ids of today.
"""

from __future__ import annotations

from typing import Any, Final

from mockrec.formats.operations.graphql_document import normalised
from mockrec.formats.operations.message import MalformedMessageError

_TYPES: Final = ("subscribe", "start", "next", "data", "error", "complete", "stop")
"""Types of messages of graphql-transport-ws, and of its predecessor, that have an id."""
_MOST_COMPARED: Final = 64 * 1024
"""Characters of a document that is compared without its white space: some milliseconds, while others wait."""


def correlation_id(document: Any) -> str | int | None:
    """Return the id in a message of one of these protocols; None if it has none."""
    if not isinstance(document, dict):
        return None
    if document.get("jsonrpc") != "2.0" and document.get("type") not in _TYPES:
        return None
    found = document.get("id")
    return found if isinstance(found, (str, int)) and not isinstance(found, bool) else None


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    """Return a message for comparison: without its id, its GraphQL document without white space and comments."""
    made = {key: value for key, value in document.items() if key != "id"}
    payload = made.get("payload")
    query = payload.get("query") if isinstance(payload, dict) else None
    if isinstance(payload, dict) and isinstance(query, str) and len(query) <= _MOST_COMPARED:
        try:
            made["payload"] = {**payload, "query": normalised(query)}
        except MalformedMessageError:  # compared as it is
            pass
    return made
