"""The row of gRPC in the table of protocols: the path names the call, the trailers its status."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from mockrec.formats.operations.grpc.media import grpc_kind, method_of, service_of
from mockrec.formats.operations.grpc.messages import GrpcBody, read_body, status_of
from mockrec.formats.operations.grpc.wire_format import WireError, decode_fields
from mockrec.formats.operations.message import Headers, MalformedMessageError, OperationMessage, header, path_of
from mockrec.formats.operations.spec import Facts, FactType, Operation, ProtocolSpec

_LARGEST_KEY: Final = 16 * 1024
"""Bytes of the messages of a body that are compared field by field, those after them by their hash: fields are decoded
while clients wait."""
_HASHED: Final = ", sha256 "


def recognise_grpc(method: str, target: str, headers: Headers) -> bool:
    """Return whether a request head is gRPC or gRPC-Web."""
    return method == "POST" and grpc_kind(header(headers, "content-type")) is not None


def _request(message: OperationMessage) -> Operation | None:
    if not recognise_grpc(message.method, message.path, message.headers):
        return None
    method = method_of(message.path)
    body = None if message.data is None else read_body(message.data, message.headers)
    finding = "; ".join(body.problems[:_MOST_FINDINGS]) if body is not None else ""
    if not method:
        return Operation("grpc", finding=f"the path {path_of(message.url)[:80]} names no method: /SERVICE/METHOD")
    return Operation("grpc", (method,), {"grpc.service": (service_of(method),)}, finding)


_MOST_FINDINGS: Final = 3


def _response(message: OperationMessage) -> Facts:
    if grpc_kind(header(message.headers, "content-type")) is None:
        return {}
    body = None if message.data is None else read_body(message.data, message.headers)
    status = status_of(message.headers, message.trailers, body)
    if status is not None:
        return {"grpc.status": (status.name,), "grpc.message": (status.message,) if status.message else ()}
    if body is not None and body.problems:
        raise MalformedMessageError("; ".join(body.problems[:_MOST_FINDINGS]))
    return {}


def match_key(message: OperationMessage) -> Any | None:
    """Return the messages of a request, whatever their compression and the order of their fields; None for bytes that
    are no messages."""
    body = None if message.data is None else read_body(message.data, message.headers)
    return None if body is None or body.problems else messages_key(body)


def messages_key(body: GrpcBody, most: int | None = None) -> list[Any]:
    """Return plain JSON data that stands for the first `most` messages of a body (None: for all), the same for each
    whether or not more of them follow."""
    found: list[Any] = []
    size = 0
    for message in body.messages if most is None else body.messages[:most]:
        size += len(message.data)
        found.append(message_key(message.data, protobuf=body.protobuf, by_hash=size > _LARGEST_KEY))
    return found


def message_key(data: bytes, *, protobuf: bool, by_hash: bool) -> Any:
    """Return plain JSON data that stands for a message."""
    if by_hash:
        return f"{len(data)} bytes{_HASHED}{hashlib.sha256(data).hexdigest()}"
    return _plain(data, protobuf=protobuf)


def is_hash(key: Any) -> bool:
    """Whether the key of a message is its hash."""
    return isinstance(key, str) and _HASHED in key


def _plain(data: bytes, *, protobuf: bool) -> Any:
    if protobuf:
        try:
            return decode_fields(data)
        except WireError:
            pass
    return data.decode("utf-8", "backslashreplace")


GRPC: Final = ProtocolSpec(
    name="grpc",
    recognise=recognise_grpc,
    request=_request,
    response=_response,
    facts={"grpc.service": FactType.TEXT, "grpc.status": FactType.TEXT, "grpc.message": FactType.TEXT},
    match_key=match_key,
    named_by_head=True,
    hints=("application/grpc",),
)
