"""JSON-RPC 2.0, single calls and batches, and MCP, whose messages are JSON-RPC over streamable HTTP."""

from __future__ import annotations

from typing import Any, Final

from mockrec.formats.operations.event_stream import data_of
from mockrec.formats.operations.message import (
    Headers,
    MalformedMessageError,
    OperationMessage,
    header,
    media_type,
    parse_json,
    path_of,
)
from mockrec.formats.operations.spec import MOST_CALLS, Facts, FactType, Operation, ProtocolSpec, distinct, merged

_MEDIA: Final = frozenset({"application/json-rpc", "application/jsonrpc", "application/jsonrequest"})
_ENDINGS: Final = ("jsonrpc", "json-rpc", "/rpc")
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "resources/subscribe": "uri"}
"""Methods of MCP whose parameter says what is called: method → parameter."""
_MCP_METHODS: Final = frozenset({"initialize", "ping"})
_MCP_PREFIXES: Final = ("tools/", "prompts/", "resources/", "notifications/", "completion/", "logging/", "tasks/")


def _recognise_rpc(method: str, target: str, headers: Headers) -> bool:
    if method != "POST":
        return False
    kind = media_type(headers)
    if kind in _MEDIA:
        return True
    return kind == "application/json" and path_of(target).rstrip("/").endswith(_ENDINGS)


def _recognise_mcp(method: str, target: str, headers: Headers) -> bool:
    if method != "POST":
        return False
    if "mcp-protocol-version" in headers or "mcp-session-id" in headers:
        return True
    return path_of(target).rstrip("/").endswith("/mcp") and "text/event-stream" in header(headers, "accept")


def calls_of(document: Any) -> list[dict[str, Any]] | None:
    """Return the objects of a message or batch if it is JSON-RPC 2.0; None if it is not.

    Raises `MalformedMessageError` for a batch of which some are not.
    """
    if isinstance(document, dict):
        return [document] if document.get("jsonrpc") == "2.0" else None
    if not isinstance(document, list) or not document:
        return None
    valid = [one for one in document if isinstance(one, dict) and one.get("jsonrpc") == "2.0"]
    if not valid:
        return None
    if len(valid) < len(document):
        raise MalformedMessageError(f'{len(document) - len(valid)} messages of the batch have no "jsonrpc": "2.0"')
    return valid


def _call(call: dict[str, Any]) -> tuple[str, Facts]:
    """Return the name and the facts of one message. Raises `MalformedMessageError`."""
    method = call.get("method")
    if "method" not in call and ("result" in call or "error" in call):
        return "response", {}  # a client answers a request of an MCP server
    if not isinstance(method, str):
        raise MalformedMessageError("the JSON-RPC call has no method")
    if isinstance(call.get("params", {}), (str, int, float)) and call.get("params") is not None:
        raise MalformedMessageError(f"the params of {method} are neither an object nor a list")
    return method, {"rpc.method": (method,)}


def _mcp_name(call: dict[str, Any], method: str) -> str:
    """`tools/call search` for a method that calls something by its name."""
    key, params = _NAMED.get(method), call.get("params")
    target = params.get(key) if key is not None and isinstance(params, dict) else None
    return f"{method} {target}" if isinstance(target, str) else method


def _is_mcp(calls: list[dict[str, Any]]) -> bool:
    return any(
        isinstance(method := call.get("method"), str)
        and (method.startswith(_MCP_PREFIXES) or (method in _MCP_METHODS and isinstance(call.get("params"), dict)))
        for call in calls[:MOST_CALLS]
    )


def _rpc_operation(document: Any) -> Operation | None:
    calls = calls_of(document)
    if calls is None:
        return None
    made = [_call(call) for call in calls]
    names = [f"rpc {name}" for name, _ in made]
    return Operation("jsonrpc", distinct(names), merged([facts for _, facts in made]))


def _mcp_operation(document: Any) -> Operation | None:
    calls = calls_of(document)
    if calls is None:
        return None
    names, facts = [], []
    for call in calls:
        method, known = _call(call)
        names.append(_mcp_name(call, method))
        target = names[-1].removeprefix(method).strip()
        facts.append({**known, **({"mcp.target": (target,)} if target else {})})
    return Operation("mcp", distinct(names), merged(facts))


def _is_json(message: OperationMessage) -> bool:
    kind = message.media_type
    return message.method == "POST" and ("json" in kind or not kind)


def _rpc_request(message: OperationMessage) -> Operation | None:
    if not _is_json(message) or b"jsonrpc" not in (message.data or b""):
        return None
    return _rpc_operation(message.json)


def _mcp_request(message: OperationMessage) -> Operation | None:
    if not _is_json(message) or b"jsonrpc" not in (message.data or b""):
        return None
    certain = _recognise_mcp(message.method, message.target, message.headers)
    if not certain:
        calls = calls_of(message.json)
        if calls is None or not _is_mcp(calls):
            return None
    return _mcp_operation(message.json)


def _response(message: OperationMessage) -> Facts:
    """The codes of errors, of a plain answer, a batch, or a stream of events."""
    if b"jsonrpc" not in (message.data or b""):
        return {}
    if message.media_type == "text/event-stream":
        documents = [parse_json(event.data) for event in data_of(message.text) if event.data]
    elif "json" in message.media_type:
        documents = [message.json]
    else:
        return {}
    codes: dict[Any, None] = {}
    for document in documents:
        for answer in calls_of(document) or ():
            error = answer.get("error")
            if isinstance(error, dict) and isinstance(error.get("code"), (int, float)):
                codes[error["code"]] = None
    return {"rpc.error": tuple(codes)[:MOST_CALLS]} if codes else {}


JSON_RPC: Final = ProtocolSpec(
    name="jsonrpc",
    hints=("jsonrpc", "json-rpc"),
    recognise=_recognise_rpc,
    request=_rpc_request,
    response=_response,
    event=_rpc_operation,
    facts={"rpc.method": FactType.TEXT, "rpc.error": FactType.NUMBER},
)
MCP: Final = ProtocolSpec(
    name="mcp",
    hints=("jsonrpc", "mcp-"),
    recognise=_recognise_mcp,
    request=_mcp_request,
    facts={"mcp.target": FactType.TEXT},
)
