"""GraphQL over HTTP and WebSocket: named operations, persisted queries, batches, subscriptions.

Sources: the GraphQL-over-HTTP specification (POST with JSON, GET), `application/graphql` (the document is the body),
automatic persisted queries (Apollo), and the sub-protocols graphql-transport-ws and graphql-ws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import orjson

from mockrec.formats.operations.event_stream import data_of
from mockrec.formats.operations.graphql_document import normalised, operations_of, selected, tokens
from mockrec.formats.operations.message import (
    Headers,
    MalformedMessageError,
    OperationMessage,
    header,
    media_type,
    parse_json,
    path_of,
)
from mockrec.formats.operations.spec import Facts, FactType, Operation, ProtocolSpec, distinct, merged

_PATH: Final = re.compile(r"(?:^|[/_.-])(?:graphql|gql)(?:$|[/_.-])", re.IGNORECASE)
_KEYS: Final = frozenset({"query", "operationName", "variables", "extensions", "id", "documentId"})
_MOST_PARAMETERS: Final = 100
_MOST_ERRORS: Final = 20
_MOST_COMPARED: Final = 64 * 1024
"""Bytes of a request whose documents are normalised: some milliseconds, while others wait."""
_RESPONSES: Final = frozenset({"application/json", "application/graphql-response+json"})
_START: Final = ("subscribe", "start")
"""Types of messages that start an operation: of graphql-transport-ws, and of its predecessor."""

Call = Mapping[str, Any]
"""The parameters of one request (GraphQL over HTTP, 5.1)."""


def _recognise(method: str, target: str, headers: Headers) -> bool:
    if method == "POST":
        kind = media_type(headers)
        if kind == "application/graphql":
            return True
        if kind != "application/json":
            return False
        return _PATH.search(path_of(target)) is not None or "graphql-response" in header(headers, "accept")
    if method != "GET":
        return False
    if "sec-websocket-protocol" in headers:
        return "graphql" in header(headers, "sec-websocket-protocol")
    path, _, query = target.partition("?")
    return ("query=" in query or "extensions=" in query) and _PATH.search(path) is not None


def calls_of(message: OperationMessage) -> list[Call] | None:
    """Return the calls of a request: one, or those of a batch; None if it is no GraphQL request.

    Raises `MalformedMessageError`.
    """
    if message.method == "GET":
        return _calls_of_query(message)
    if message.method != "POST" or not message.data:
        return None
    kind = message.media_type
    if kind == "application/graphql":
        return [{"query": message.text}]
    if "json" not in kind:
        return None
    certain = _recognise(message.method, message.target, message.headers)
    if not certain and b'"query"' not in message.data and b"persistedQuery" not in message.data:
        return None
    document = message.json
    batch = document if isinstance(document, list) else [document]
    if not batch or not all(isinstance(one, dict) and _is_call(one, certain) for one in batch):
        return None
    return batch


def _calls_of_query(message: OperationMessage) -> list[Call] | None:
    query = message.query
    if "query=" not in query and "extensions=" not in query:
        return None
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:  # more parameters
        return None
    call: dict[str, Any] = {key: given[key] for key in _KEYS if key in given}
    for key in ("variables", "extensions"):
        if key in call:
            try:
                call[key] = orjson.loads(call[key])
            except orjson.JSONDecodeError:
                if _PATH.search(message.path) is None:
                    return None
                raise MalformedMessageError(f"the parameter {key} is not JSON") from None
    certain = _PATH.search(message.path) is not None
    return [call] if _is_call(call, certain) else None


def _is_call(call: Mapping[str, Any], certain: bool) -> bool:
    """Return whether an object has the parameters of a call. Where the head does not say GraphQL, a `query` might be
    that of a search, so it must look like a document."""
    query = call.get("query")
    if isinstance(query, str) and query:
        return certain or _looks_like_document(query)
    return _hash_of(call) != "" or (certain and isinstance(call.get("documentId", call.get("id")), str))


def _looks_like_document(text: str) -> bool:
    try:
        first = next(tokens(text[:2000]), "")
    except MalformedMessageError:
        return False
    return first in ("{", "query", "mutation", "subscription", "fragment") and "{" in text


def _hash_of(call: Call) -> str:
    extensions = call.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    found = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    return found if isinstance(found, str) else ""


def _name(call: Call, *, by_get: bool) -> tuple[str, Facts]:
    """Return the name of a call, and its facts. Raises `MalformedMessageError`."""
    wanted = call.get("operationName")
    wanted = wanted if isinstance(wanted, str) else ""
    query = call.get("query")
    if isinstance(query, str) and query:
        operation = selected(operations_of(query), wanted)
        facts: dict[str, tuple[Any, ...]] = {"graphql.type": (operation.type,)}
        if operation.name:
            facts["graphql.operation"] = (operation.name,)
        return str(operation), facts
    # Persisted: the document is known to the server only. With GET it is a query.
    stored = _hash_of(call) or str(call.get("documentId", call.get("id", "")))
    if not wanted and not stored:
        raise MalformedMessageError("the GraphQL request has neither a query nor a persisted one")
    kind = "query" if by_get else "persisted"
    return f"{kind} {wanted or stored[:12]}", {"graphql.operation": (wanted,)} if wanted else {}


class GraphqlCall(msgspec.Struct, frozen=True):
    """One call, as rules compare it."""

    name: str
    type: str
    """Empty for a persisted query that a POST calls."""
    variables: Any


def graphql_call(message: OperationMessage) -> GraphqlCall | None:
    """Return the call of a request; None for a batch, or if it is no GraphQL request.

    Raises `MalformedMessageError`.
    """
    calls = calls_of(message)
    if calls is None or len(calls) != 1 or (message.method == "POST" and isinstance(message.json_or_none, list)):
        return None
    _, facts = _name(calls[0], by_get=message.method == "GET")
    (operation,) = facts.get("graphql.operation", ("",))
    (kind,) = facts.get("graphql.type", ("query" if message.method == "GET" else "",))
    return GraphqlCall(operation, kind, calls[0].get("variables"))


def _operation(calls: list[Call], *, by_get: bool = False) -> Operation:
    made = [_name(call, by_get=by_get) for call in calls]
    return Operation("graphql", distinct([name for name, _ in made]), merged([facts for _, facts in made]))


def _request(message: OperationMessage) -> Operation | None:
    calls = calls_of(message)
    return None if calls is None else _operation(calls, by_get=message.method == "GET")


def _event(document: Any) -> Operation | None:
    if not isinstance(document, dict) or document.get("type") not in _START:
        return None
    payload = document.get("payload")
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return None
    return _operation([payload])


def _response(message: OperationMessage) -> Facts:
    """The messages of `errors[]`, of one answer, a batch, or a stream of results."""
    data = message.data or b""
    if b'"errors"' not in data or (b'"message"' not in data and b'"data"' not in data):
        return {}
    if message.media_type == "text/event-stream":
        answers = [parse_json(event.data) for event in data_of(message.text) if event.data]
    elif message.media_type in _RESPONSES:
        document = message.json
        answers = document if isinstance(document, list) else [document]
    else:
        return {}
    found: dict[str, None] = {}
    for answer in answers:
        errors = answer.get("errors") if isinstance(answer, dict) else None
        for error in errors if isinstance(errors, list) else ():
            text = error.get("message") if isinstance(error, dict) else None
            if isinstance(text, str) and len(found) < _MOST_ERRORS:
                found[text] = None
    return {"graphql.error": tuple(found)} if found else {}


def _match_key(message: OperationMessage) -> Any:
    """The calls with their documents normalised: white space and comments do not count, variables do."""
    if message.method != "POST":
        return None
    if len(message.data or b"") > _MOST_COMPARED:
        return None
    calls = calls_of(message)
    if not calls:
        return None
    made = [
        {**call, "query": normalised(query)} if isinstance(query := call.get("query"), str) else dict(call)
        for call in calls
    ]
    return made if isinstance(message.json_or_none, list) else made[0]


GRAPHQL: Final = ProtocolSpec(
    name="graphql",
    hints=('"query"', "graphql", "persistedQuery", "?query=", "&query=", "extensions="),
    recognise=_recognise,
    request=_request,
    response=_response,
    event=_event,
    facts={
        "graphql.operation": FactType.TEXT,
        "graphql.type": FactType.TEXT,
        "graphql.error": FactType.TEXT,
    },
    match_key=_match_key,
)
