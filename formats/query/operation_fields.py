"""The names of the language that come from the table of protocols: `operation`, `graphql.operation`, `rpc.method`, …

Their values are computed from recorded bodies, so that sessions of earlier versions have them, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mockrec.formats.operations.first_token import FirstTokens
from mockrec.formats.operations.message import OperationMessage, body_reader
from mockrec.formats.operations.readers import facts_of_response, operation_of, operation_of_websocket
from mockrec.formats.operations.spec import FactType, Operation
from mockrec.formats.operations.table import FACTS
from mockrec.formats.query.extract import Context, Extract
from mockrec.formats.query.field import Field, FieldPath
from mockrec.formats.query.values import FieldType

_TYPES: Final = {
    FactType.TEXT: FieldType.TEXT,
    FactType.NUMBER: FieldType.NUMBER,
    FactType.DURATION: FieldType.DURATION,
}
_HEAD: Final = (("method",), ("url",), ("headers",), ("trailers",))
_REQUESTS: Final = frozenset({"request", "websocket-request"})
_RESPONSES: Final = frozenset({"response"})
_ABORTS: Final = frozenset({"abort"})
_MESSAGES: Final = frozenset({"websocket-message-received"})


def _message(found: tuple[Any, ...], context: Context) -> OperationMessage:
    body, method, url, headers, trailers = found
    return OperationMessage(
        method if isinstance(method, str) else "",
        url if isinstance(url, str) else "",
        headers if isinstance(headers, Mapping) else {},
        body_reader(body, context.bodies_folder),
        trailers if isinstance(trailers, Mapping) else {},
    )


def _requested(found: Any, context: Context) -> Operation | None:
    return operation_of(_message(found, context))


def _started(found: Any, context: Context) -> Operation | None:
    return operation_of_websocket(body_reader(found, context.bodies_folder)())


def _names(found: Any, context: Context) -> Iterable[str]:
    operation = _requested(found, context)
    return () if operation is None else operation.names


def _names_by_head(found: tuple[Any, ...], context: Context) -> Iterable[str]:
    """The names that the head of an aborted request tells: its body may not be complete."""
    headers, method, url = found
    return _names((None, method, url, headers, None), context)


def _names_started(found: Any, context: Context) -> Iterable[str]:
    operation = _started(found, context)
    return () if operation is None else operation.names


def _fact(name: str, of: Any) -> Extract:
    def values(found: Any, context: Context) -> Iterable[Any]:
        operation = of(found, context)
        return () if operation is None else operation.facts.get(name, ())

    return values


def _answered(name: str) -> Extract:
    def values(found: Any, context: Context) -> Iterable[Any]:
        return facts_of_response(_message(found, context))[0].get(name, ())

    return values


def _first_tokens(context: Context) -> FirstTokens:
    known = context.memory.get("llm.ttft")
    if not isinstance(known, FirstTokens):
        known = context.memory["llm.ttft"] = FirstTokens(context.bodies_folder)
    return known


def _start(found: Any, context: Context) -> Iterable[float]:
    """Remember the start of an exchange; it is no value."""
    timing, identity = found
    _first_tokens(context).begin(identity, timing)
    return ()


def _first_token(found: Any, context: Context) -> Iterable[float]:
    content, identity, seq, at = found
    elapsed = _first_tokens(context).chunk(identity, seq, at, content)
    return () if elapsed is None else (elapsed,)


def _of_protocol(name: str, kind: FactType) -> Field:
    return Field(
        name,
        _TYPES[kind],
        (
            FieldPath(("body",), _REQUESTS, _fact(name, _requested), _HEAD),
            FieldPath(("body",), _RESPONSES, _answered(name), _HEAD),
            FieldPath(("content",), _MESSAGES, _fact(name, _started)),
        ),
    )


OPERATION_FIELDS: Final = {
    "operation": Field(
        "operation",
        FieldType.TEXT,
        (
            FieldPath(("body",), _REQUESTS, _names, _HEAD),
            FieldPath(("content",), _MESSAGES, _names_started),
            FieldPath(("headers",), _ABORTS, _names_by_head, (("method",), ("url",))),
        ),
    ),
    "llm.ttft": Field(
        "llm.ttft",
        FieldType.DURATION,
        (
            FieldPath(("timingEvents",), frozenset({"request"}), _start, (("id",),)),
            FieldPath(
                ("content",),
                frozenset({"response-body-data"}),
                _first_token,
                (("id",), ("seq",), ("eventTimestamp",)),
            ),
        ),
    ),
    **{name: _of_protocol(name, kind) for name, kind in FACTS.items()},
}
"""Name → field."""
