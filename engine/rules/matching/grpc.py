"""The matcher `grpc`: which method is called, and what its first message contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.values import json_includes
from mockrec.engine.rules.model import GrpcCall
from mockrec.engine.rules.wording import shown
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import Pattern
from mockrec.engine.rules.yaml.types import AnyJson
from mockrec.formats.operations.grpc.descriptors import DescriptorError
from mockrec.formats.operations.grpc.media import grpc_kind, method_of, service_of
from mockrec.formats.operations.grpc.messages import read_body
from mockrec.formats.operations.grpc.wire_format import has_numbers

_METHOD: Final = Pattern("a method such as shop.v1.Cart/AddItem, or a service", r"[^\s?#/]+(?:/[^\s?#/]+)*")


def _call(given: ParsedMapping) -> GrpcCall:
    method, message = given.get("method"), given.get("message")
    if message is None:
        return GrpcCall(method)
    if has_numbers(message):
        return GrpcCall(method, message, _with_text_keys(message))
    descriptors = given.context.descriptors
    if descriptors is None:
        problem = "a message with names needs `record.protobuf`; without it, give field numbers: {1: text}"
        raise given.reject("message", problem)
    if "/" not in method:
        raise given.reject("message", "a message belongs to a method; give it as `method: SERVICE/METHOD`")
    try:
        return GrpcCall(method, message, descriptors.expected(method, "request", message), descriptors)
    except DescriptorError as error:
        raise given.reject("message", str(error)) from None


def _with_text_keys(value: Any) -> Any:
    """Return a message by field numbers with the keys as texts. The depth is that of a rule file."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value


GRPC_CALL: Final = Record(
    {
        "method": Key(_METHOD, "The method, as shop.v1.Cart/AddItem, or a service.", required=True),
        "message": Key(AnyJson(), "What the first message contains, by names or field numbers."),
    },
    _call,
)


def grpc_check(call: GrpcCall) -> Callable[[RequestView], bool]:
    """Check the method, and then the first message. The check raises ValueError for a body that cannot be read."""
    is_service = "/" not in call.method
    decoder = None
    if call.descriptors is not None:
        decoder = call.descriptors.decoder(call.method, "request", defaults=True)

    def check(request: RequestView) -> bool:
        method = method_of(request.path)
        if (service_of(method) if is_service else method) != call.method or grpc_kind(request.content_type) is None:
            return False
        if call.expected is None:
            return True
        body = read_body(request.body, request.headers)
        if body is None or not body.messages:
            return False
        return json_includes(call.expected, body.messages[0].value(decoder, protobuf=body.protobuf))

    return check


def grpc_words(call: GrpcCall) -> str:
    """The phrase that explains the matcher."""
    words = f"calling {call.method}"
    return words if call.message is None else f"{words} with {shown(call.message)}"


def grpc_found(request: RequestView) -> str:
    """The call that a request is."""
    if grpc_kind(request.content_type) is None:
        return "no gRPC"
    method = method_of(request.path)
    body = read_body(request.body, request.headers) if request.body_complete else None
    if body is None or not body.messages:
        return method
    return f"{method} with {shown(body.messages[0].value(protobuf=body.protobuf))}"
