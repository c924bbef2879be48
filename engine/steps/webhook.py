"""The step `webhook`: posts the request, the response or both to a URL, without delaying the exchange."""

from __future__ import annotations

import base64
from typing import Any

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Webhook
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.wire.parts import RawHeaders, header_table


def webhook_handler(step: Webhook, webhooks: Webhooks) -> StepHandler:
    """Arrange the deliveries and return at once."""

    async def handle(exchange: Exchange) -> None:
        if webhooks.is_own(exchange):
            return

        async def request() -> None:
            await exchange.wait_for_body()
            if not exchange.request_body.complete:
                return  # the client has left before its request was complete
            await webhooks.send(exchange, step.url, "request", _request_data(exchange))

        async def response() -> None:
            await webhooks.send(exchange, step.url, "response", _response_data(exchange))

        def ended() -> None:
            if exchange.aborted_at is None:
                webhooks.run_later(response)

        if "request" in step.events:
            webhooks.run_later(request)
        if "response" in step.events:
            exchange.on_end = [*(exchange.on_end or ()), ended]

    return handle


def _request_data(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": exchange.id,
        "method": exchange.head.method,
        "url": exchange.target.url,
        "headers": exchange.target.headers,
        **_content(exchange.request_body.trailers, exchange.request_body.kept),
    }


def _response_data(exchange: Exchange) -> dict[str, Any]:
    head = exchange.response_head
    assert head is not None
    return {
        "id": exchange.id,
        "statusCode": head.status,
        "statusMessage": head.reason,
        "headers": head.headers,
        **_content(exchange.response_trailers, exchange.sent_body),
    }


def _content(trailers: RawHeaders, body: bytes) -> dict[str, Any]:
    """Trailers, and the body as it was on the wire."""
    data = base64.b64encode(body).decode("ascii")
    return {"trailers": header_table(trailers), "body": {"format": "base64", "data": data}}


STEPS = (
    StepSpec(
        Webhook,
        lambda step, context: webhook_handler(step, context.webhooks),
        never_blocks=True,
        needs_body=lambda step: "request" in step.events,
    ),
)
