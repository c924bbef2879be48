"""The matcher `grpc`: which method is called, and what its first message contains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mockrec.engine.rules.matching.deferral import Check, Question
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.values import json_includes
from mockrec.engine.rules.model import GrpcCall
from mockrec.engine.rules.wording import shown
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import Pattern
from mockrec.engine.rules.yaml.types import AnyJson
from mockrec.formats.operations.grpc.descriptors import DescriptorError
from mockrec.formats.operations.grpc.frames import HEAD, Decompressor, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind, method_of, service_of
from mockrec.formats.operations.grpc.messages import read_body
from mockrec.formats.operations.grpc.wire_format import has_numbers

_METHOD: Final = Pattern("a method such as shop.v1.Cart/AddItem, or a service", r"[^\s?#/]+(?:/[^\s?#/]+)*")

_QUICK_MESSAGE: Final = 16 * 1024
"""Bytes of a message, decompressed, up to which it is decoded at once: some 20 ms of work, while others wait."""


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
    is_called, fits = _head_check(call), _message_check(call)
    return lambda request: is_called(request) and (call.message is None or fits(request, request.body))


def early_grpc_check(call: GrpcCall, question: Question) -> Check:
    """The same as soon as the first message has arrived: the client of a stream may wait for an answer to it. A long
    message is left to a helper process, with the whole body."""
    is_called, fits = _head_check(call), _message_check(call)

    def check(request: RequestView) -> bool | None:
        if not is_called(request):
            return False
        if request.announced is None and grpc_kind(request.content_type) is not GrpcKind.WEB_TEXT:
            prefix = request.arrived(HEAD)
            if len(prefix) == HEAD:
                request.announced = int.from_bytes(prefix[1:], "big")
        if request.announced is not None and request.announced <= _QUICK_MESSAGE:
            size = HEAD + request.announced
            body = request.arrived(size)
            if len(body) < size and not request.body_complete:
                return None
            if _is_quick(body, request.headers):
                return fits(request, body)
        if not request.body_complete:
            return None
        deferral = request.deferral
        if deferral is None or (deferral.fits(_QUICK_MESSAGE) and _is_quick(request.body, request.headers)):
            return fits(request, request.body)
        return deferral.ask(question)

    return check


def _is_quick(body: bytes, headers: Mapping[str, Any]) -> bool:
    """Return whether all messages of a body, together and decompressed, are short."""
    if len(body) > HEAD + _QUICK_MESSAGE:
        return False
    kind = grpc_kind(str(headers.get("content-type", "")))
    decompressor = Decompressor(str(headers.get("grpc-encoding", "")), _QUICK_MESSAGE)
    for frame in split_frames(body, kind or GrpcKind.GRPC).frames:
        decompressor.message(frame)
        if decompressor.is_exceeded:
            return False
    return True


def _head_check(call: GrpcCall) -> Callable[[RequestView], bool]:
    is_service = "/" not in call.method

    def is_called(request: RequestView) -> bool:
        method = method_of(request.path)
        named = service_of(method) if is_service else method
        return named == call.method and grpc_kind(request.content_type) is not None

    return is_called


def _message_check(call: GrpcCall) -> Callable[[RequestView, bytes], bool]:
    """Return the check of the first message of a body."""
    decoder = None
    if call.descriptors is not None:
        decoder = call.descriptors.decoder(call.method, "request", defaults=True)

    def fits(request: RequestView, data: bytes) -> bool:
        body = read_body(data, request.headers)
        if body is None or not body.messages:
            return False
        return json_includes(call.expected, body.messages[0].value(decoder, protobuf=body.protobuf))

    return fits


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
