"""The step `webhook`: posts the request, the response or both to a URL, without holding the exchange up."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Webhook
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.upstream.post import Ends, PostError, post
from mockrec.engine.wire.parts import RawHeaders, header_table


class Webhooks:
    """Sends posts in the background, and knows the connections it does that on."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._own: set[Ends] = set()
        """The ends of the connections that posts go out on."""
        self._running = 0
        self._idle = anyio.Event()

    def start(self, group: TaskGroup) -> None:
        """Posts are tasks of `group` from now on."""
        self._group = group

    def is_own(self, exchange: Exchange) -> bool:
        """Whether a request is one of our posts: posting that as well would never end."""
        return (exchange.client.ip, exchange.client.port, exchange.client.local_port) in self._own

    def later(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task beside the exchange."""
        if self._group is not None:
            self._running += 1
            self._group.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await task()
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def wait(self) -> None:
        """Return when no post is under way any more."""
        if self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def send(self, exchange: Exchange, url: str, kind: str, data: Mapping[str, Any]) -> None:
        """Post one event; failures are rule-events."""
        body = json.dumps({"eventType": kind, "eventData": data}, ensure_ascii=False).encode("utf-8", "replace")
        try:
            status = await post(url, body, self._own)
            if 200 <= status < 300:
                return
            error = {"name": "WebhookError", "message": f"the webhook answered {status}"}
        except PostError as failure:
            error = {"name": "WebhookError", "message": str(failure)}
            if failure.code:
                error["code"] = failure.code
        exchange.log.rule_event(exchange, "webhook-error", {"url": url, "webhookEventType": kind, "error": error})


def webhook_act(step: Webhook, webhooks: Webhooks) -> StepHandler:
    """Arranges the posts and goes on at once."""

    async def act(exchange: Exchange) -> None:
        if webhooks.is_own(exchange):
            return

        async def request() -> None:
            await exchange.wait_for_body()
            if not exchange.request_body.complete:
                return  # the client has left in the middle of it
            await webhooks.send(exchange, step.url, "request", _request_data(exchange))

        async def response() -> None:
            await webhooks.send(exchange, step.url, "response", _response_data(exchange))

        def ended() -> None:
            if exchange.aborted_at is None:
                webhooks.later(response)

        if "request" in step.events:
            webhooks.later(request)
        if "response" in step.events:
            exchange.on_end = [*(exchange.on_end or ()), ended]

    return act


def _request_data(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": exchange.id,
        "method": exchange.head.method,
        "url": exchange.target.url,
        "headers": exchange.target.headers,
        **_message(exchange.request_body.trailers, exchange.request_body.kept),
    }


def _response_data(exchange: Exchange) -> dict[str, Any]:
    head = exchange.response_head
    assert head is not None
    return {
        "id": exchange.id,
        "statusCode": head.status,
        "statusMessage": head.reason,
        "headers": head.headers,
        **_message(exchange.response_trailers, exchange.sent_body),
    }


def _message(trailers: RawHeaders, body: bytes) -> dict[str, Any]:
    """Trailers and the body as it was on the wire."""
    data = base64.b64encode(body).decode("ascii")
    return {"trailers": header_table(trailers), "body": {"format": "base64", "data": data}}
