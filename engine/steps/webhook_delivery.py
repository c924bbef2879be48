"""Deliveries of webhooks: one POST each, on a connection of its own, while the exchange goes on.

They are no exchanges of the recording, and take the system's way to a server: no proxy, the system's authorities, the
system's name servers, whatever the rule file says under `upstream`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.tls.client import CERTIFICATE_CODES
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.errors import TIMED_OUT, UpstreamError
from mockrec.engine.upstream.http1 import Http1UpstreamConnection
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.request_loop import RequestBody, attempt
from mockrec.engine.upstream.route import Route
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Part, ResponseHead
from mockrec.engine.wire.urls import DEFAULT_PORTS

_SECONDS = 10.0
_OPTIONS = UpstreamOptions(UpstreamSettings(connect_timeout=_SECONDS))


class Webhooks:
    """Delivers webhooks in the background, and recognizes its own connections where they come in."""

    def __init__(self, dialer: Dialer) -> None:
        """`dialer` makes connections for webhooks only: by them `is_own` recognizes a delivery."""
        self._dialer = dialer
        self._group: TaskGroup | None = None
        self._running = 0
        self._idle = anyio.Event()

    def start(self, group: TaskGroup) -> None:
        """Deliver in tasks of `group` from now on."""
        self._group = group

    def is_own(self, exchange: Exchange) -> bool:
        """Whether a request is one of these deliveries: to deliver that as well would never end."""
        peer = exchange.client
        return self._dialer.is_ours((peer.ip, peer.port), (peer.local_ip, peer.local_port))

    def run_later(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task in the background."""
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
        """Return when no delivery is under way."""
        if self._running:
            self._idle = anyio.Event()
            await self._idle.wait()

    async def send(self, exchange: Exchange, url: str, kind: str, data: Mapping[str, Any]) -> None:
        """Post one event; a failure becomes a rule-event of the exchange."""
        body = json.dumps({"eventType": kind, "eventData": data}, ensure_ascii=False).encode("utf-8", "replace")
        try:
            status = await post(self._dialer, url, body)
            if 200 <= status < 300:
                return
            error = {"name": "WebhookError", "message": f"the webhook answered {status}"}
        except UpstreamError as failure:
            error = {"name": "WebhookError", "message": str(failure), "code": failure.code}
        exchange.log.rule_event(exchange, "webhook-error", {"url": url, "webhookEventType": kind, "error": error})


async def post(dialer: Dialer, url: str, body: bytes) -> int:
    """Post JSON to a URL and return the status of the response, whose body is not read. Raises UpstreamError."""
    delivery = _Delivery(_request(url, len(body)), body)
    try:
        with anyio.fail_after(_SECONDS):
            transport = await dialer.dial(delivery.request.route)
            connection = Http1UpstreamConnection(transport, lambda closed: dialer.forget(closed.byte_stream))
            try:
                await attempt(connection, delivery)
            finally:
                connection.close()
    except UpstreamError as error:
        if error.code not in CERTIFICATE_CODES:
            raise
        text = str(error).partition("; ")[0]  # then follow options that webhooks do not obey
        raise UpstreamError(error.code, text) from None
    except TimeoutError:
        raise UpstreamError(TIMED_OUT, f"no answer within {_SECONDS:g}s") from None
    except ValueError as error:
        raise UpstreamError("ERR_INVALID_URL", f"its URL fits into no request: {error}") from None
    return delivery.status


def _request(url: str, length: int) -> UpstreamRequest:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    fields = [
        ["Host", parts.netloc.rpartition("@")[2]],
        ["Content-Type", "application/json"],
        ["Content-Length", str(length)],
        ["Connection", "close"],
    ]
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    route = Route(parts.scheme == "https", host, port, host, _OPTIONS)
    return UpstreamRequest(route, parts.scheme, "POST", target, fields)


class _Delivery:
    """One POST, as an `UpstreamExchange` of the request loop."""

    head_timeout = None
    """`post` limits the whole delivery."""
    body_timeout = _SECONDS
    body_consumed = False

    def __init__(self, request: UpstreamRequest, body: bytes) -> None:
        self.request = request
        self.status = 0
        self._body = body

    def start(self, stream: UpstreamStream, fields: list[list[str]]) -> RequestBody:
        """See `UpstreamExchange`."""
        return self._body, (), True

    async def send_body(self, stream: UpstreamStream) -> bool:
        """See `UpstreamExchange`; the body is always complete."""
        raise AssertionError("the body of a webhook is complete before it is sent")

    async def interim(self, head: ResponseHead) -> None:
        """Ignore interim responses."""

    async def respond(self, stream: UpstreamStream, head: ResponseHead, parts: list[Part]) -> bool:
        """Take the status."""
        self.status = head.status
        return False
