"""Steps that respond wrongly or not at all: close, reset, timeout, malformed."""

from __future__ import annotations

import re

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.model import Close, Malformed, Reply, Reset, Timeout
from mockrec.engine.rules.templates.template import TemplateError
from mockrec.engine.steps.failures import reply_failure, template_failed, unsendable_head
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.reply import reads_file, responder
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.template_scope import TemplateScopes
from mockrec.engine.wire.parts import ResponseHead, header_table

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?")


async def close(exchange: Exchange) -> None:
    """End the connection in order (FIN), without a response."""
    exchange.abort({"name": "AbortError", "code": "E_RULE_CLOSE", "message": "Connection closed intentionally by rule"})
    exchange.channel.close()


async def reset(exchange: Exchange) -> None:
    """End the connection with a reset (RST)."""
    exchange.abort({"name": "AbortError", "code": "E_RULE_RESET", "message": "Connection reset intentionally by rule"})
    exchange.channel.reset()


async def never_respond(exchange: Exchange) -> None:
    """Wait until the client leaves."""
    await anyio.sleep_forever()


def malformed_handler(step: Malformed, scopes: TemplateScopes) -> StepHandler:
    """Send bytes that break the protocol, and close the connection."""
    if step.reply is not None:
        return _cut_handler(step.reply, step.truncate_after or 0, scopes)
    data = step.raw or b""
    head, body = _as_response(data)

    async def handle(exchange: Exchange) -> None:
        await exchange.send_past_protocol(data, head, body)
        exchange.abort(_malformed(f"{len(data)} raw bytes sent by rule"))

    return handle


def _cut_handler(reply: Reply, count: int, scopes: TemplateScopes) -> StepHandler:
    respond = responder(reply, scopes)

    async def handle(exchange: Exchange) -> None:
        try:
            response = await respond(exchange)
        except TemplateError as error:
            await template_failed(exchange, reply.place, error)
            return
        except OSError as error:
            await reply_failure(exchange, f"cannot read {error.filename}: {error.strerror or error}")
            return
        body = response.body
        try:
            await exchange.begin(PreparedResponse(response.status, response.headers, reason=response.reason), len(body))
        except ValueError as error:
            await unsendable_head(exchange, reply.place, error)
            return
        assert exchange.response_body is not None
        piece = body[:count]
        exchange.response_body.add(piece)
        # Not checked by the codec: the head may promise any length.
        await exchange.channel.send_cut(piece)
        exchange.abort(_malformed(f"answer cut off by rule after {len(piece)} bytes of its body"))

    return handle


def _malformed(message: str) -> dict[str, str]:
    return {"name": "AbortError", "code": "E_RULE_MALFORMED", "message": message}


def _as_response(data: bytes) -> tuple[ResponseHead | None, bytes]:
    """The head and the body that a client would read in the bytes; no head if they do not begin with a status line."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        return None, b""
    pairs = [line.decode("latin-1").partition(":") for line in lines]
    raw = [[name, value.strip(" \t")] for name, colon, value in pairs if colon]
    reason = (found[2] or b"").decode("latin-1")
    return ResponseHead(int(found[1]), reason, raw, header_table(raw)), body


STEPS = (
    StepSpec(Close, lambda step, context: close, never_blocks=True, needs_body=False),
    StepSpec(Reset, lambda step, context: reset, never_blocks=True, needs_body=False),
    StepSpec(Timeout, lambda step, context: never_respond, never_blocks=False, needs_body=False),
    StepSpec(
        Malformed,
        lambda step, context: malformed_handler(step, context.scopes),
        never_blocks=lambda step: step.reply is None or not reads_file(step.reply),
        needs_body=lambda step: step.reply is not None and step.reply.template,
    ),
)
