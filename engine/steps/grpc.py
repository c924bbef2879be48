"""The step `grpc`: responds to a call of gRPC or gRPC-Web with messages and a status.

gRPC has the status in the trailers of HTTP/2. gRPC-Web, for browsers, has them in a last frame of the body, with any
version of HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import GrpcReply
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec
from mockrec.formats.operations.grpc.frames import TRAILERS, join_frames
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind, method_of
from mockrec.formats.operations.grpc.status import encode_message

_MOST_METHODS = 100


def grpc_handler(step: GrpcReply) -> StepHandler:
    """Respond with the messages of the step, as answers of the method that is called."""
    encoded: dict[str, tuple[bytes, ...]] = {}
    status = [("grpc-status", str(step.status))]
    if step.text:
        status.append(("grpc-message", encode_message(step.text)))

    async def handle(exchange: Exchange) -> None:
        kind = grpc_kind(exchange.view.content_type)
        if kind is None:
            await reply_failure(exchange, "the request is no gRPC call: its content type is not application/grpc…")
            return
        method = method_of(exchange.view.path)
        messages = encoded.get(method)
        if messages is None:
            try:
                messages = step.encoded(method)
            except ValueError as error:
                await reply_failure(exchange, str(error))
                return
            if len(encoded) < _MOST_METHODS:
                encoded[method] = messages
        fields = (("content-type", exchange.view.content_type), *step.headers)
        body, trailers = grpc_body(kind, messages, (*status, *step.trailers))
        await exchange.reply(PreparedResponse(200, fields, body, trailers=tuple(trailers)))

    return handle


def grpc_body(
    kind: GrpcKind, messages: Sequence[bytes], trailers: Sequence[tuple[str, str]]
) -> tuple[bytes, Sequence[tuple[str, str]]]:
    """Return the body with the messages, and the trailers that follow it; gRPC-Web has them in the body."""
    body = join_frames([*messages])
    if kind is GrpcKind.GRPC:
        return body, trailers
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in trailers)
    body += join_frames([lines.encode("latin-1", "replace")], flags=TRAILERS)
    return (base64.b64encode(body) if kind is GrpcKind.WEB_TEXT else body), ()


def grpc_failure(view: RequestView, text: str) -> PreparedResponse | None:
    """Return the response that tells a gRPC client why its request is answered by none: a head with the status
    UNIMPLEMENTED, after which clients do not try again. None for other requests."""
    if grpc_kind(view.content_type) is None:
        return None
    message = encode_message(text.strip()[:_LONGEST_TEXT])
    fields = (("content-type", view.content_type), ("grpc-status", "12"), ("grpc-message", message))
    return PreparedResponse(200, fields, is_own=True)


_LONGEST_TEXT = 1000

STEPS = (StepSpec(GrpcReply, lambda step, context: grpc_handler(step), never_blocks=True, needs_body=False),)
