"""The WebSocket steps: echo, listen, reject, script. They do not depend on the HTTP version that carries the frames."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.exchange.websocket import SocketSettings, WebSocketLost, WebSocketSession
from mockrec.engine.late import imported
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.values import json_equal, json_includes
from mockrec.engine.rules.model import Echo, Reject, Script, ScriptLine, WebSocketListen
from mockrec.engine.rules.patterns import quick_length, searcher
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.offloaded import in_helper
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.reply import json_bytes, reply_handler
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.template_scope import TemplateScopes
from mockrec.engine.wire.websocket.handshake import BAD_VERSION, check_upgrade, negotiate, offered_protocols
from mockrec.engine.wire.websocket.parts import CloseFrame, Fragment, Ping
from mockrec.formats.text.json import parse

_VERSIONS = ("Sec-WebSocket-Version", "13")
_NORMAL = 1000


async def accepted(
    exchange: Exchange, settings: SocketSettings, protocol: str | None = None
) -> WebSocketSession | None:
    """Accept the upgrade with the first of the client's offers, or refuse a handshake that is wrong (RFC 6455, 4.2).

    `protocol`: agree to this subprotocol if it is offered, and to no other; empty: to none.
    """
    await imported("mockrec.engine.wire.websocket.connection")
    from mockrec.engine.wire.websocket.connection import WebSocket

    wrong = check_upgrade(exchange.head)
    if wrong:
        status = 426 if wrong == BAD_VERSION else 400
        await exchange.reply(
            PreparedResponse(status, (TEXT_TYPE, _VERSIONS), f"not a WebSocket handshake: {wrong}\n".encode())
        )
        return None
    fields: list[tuple[str, str]] = []
    protocols = offered_protocols(exchange.target.headers)
    if protocol is None and protocols:
        protocol = protocols[0]
    if protocol is not None and protocol in protocols:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    deflate = None
    found = negotiate(exchange.target.headers.get("sec-websocket-extensions", ""))
    if found is not None:
        deflate, extension = found
        fields.append(("Sec-WebSocket-Extensions", extension))
    pipe, first = await exchange.accept_websocket(fields)
    codec = WebSocket("server", deflate=deflate, message_limit=settings.message)
    return WebSocketSession(exchange, pipe, codec, first, settings.logged)


def echo_handler(settings: SocketSettings) -> StepHandler:
    """Send every message back, in the fragments in which it arrives."""

    async def handle(exchange: Exchange) -> None:
        session = await accepted(exchange, settings)
        if session is not None:
            with settings.open.hold(session):
                await listen(session, session.send_soon)

    return handle


def listen_handler(settings: SocketSettings) -> StepHandler:
    """Receive every message and send none."""

    async def handle(exchange: Exchange) -> None:
        session = await accepted(exchange, settings)
        if session is not None:
            with settings.open.hold(session):
                await listen(session)

    return handle


async def listen(session: WebSocketSession, on_fragment: Callable[[Fragment], Awaitable[None]] | None = None) -> None:
    """Receive until the client closes; `on_fragment` gets each fragment."""
    try:
        while True:
            part = await session.receive()
            if type(part) is Fragment:
                if on_fragment is not None:
                    await on_fragment(part)
            elif type(part) is Ping:
                await session.pong(part.data)
            elif type(part) is CloseFrame:
                await session.close(part.code, part.reason)
                return
    except WebSocketLost:
        return


def reject_handler(step: Reject, scopes: TemplateScopes) -> StepHandler:
    """Refuse the WebSocket with an ordinary response."""
    assert step.reply is not None
    return reply_handler(step.reply, scopes)


# ── scripts ────────────────────────────────────────────────────────────────────────────────────────


def script_handler(step: Script, settings: SocketSettings, helpers: Helpers | None = None) -> StepHandler:
    """Run the lines. If an expected message does not arrive, log it and continue."""

    async def handle(exchange: Exchange) -> None:
        session = await accepted(exchange, settings)
        if session is None:
            return
        driver = _ScriptDriver(exchange, session, helpers)
        for line in step.lines:
            try:
                if not await driver.do(line):
                    return
            except WebSocketLost:
                if line.kind == "expect":
                    driver.missed(line, None)
                return
        with settings.open.hold(session):
            await listen(session)

    return handle


class _ScriptDriver:
    """Runs a script on one WebSocket."""

    def __init__(self, exchange: Exchange, session: WebSocketSession, helpers: Helpers | None) -> None:
        self._exchange = exchange
        self._helpers = helpers
        self._session = session
        self._waiting: list[tuple[bytes, bool]] = []
        """Messages that have arrived while none was expected."""

    async def do(self, line: ScriptLine) -> bool:
        """Run one line; return False if the WebSocket is closed after it."""
        session, value = self._session, line.value
        if line.kind == "send":
            data, is_binary = _message(value)
            await session.send(data, is_binary=is_binary)
        elif line.kind == "ping":
            await session.ping(value.encode())
        elif line.kind == "wait":
            return await self._wait(value)
        elif line.kind == "close":
            code, reason = _NORMAL, ""
            if isinstance(value, int):
                code = value
            elif value is not None:
                code, reason = value.get("code", _NORMAL), value.get("reason", "")
            await session.close(code, reason)
            return False
        else:
            return await self._expect(line)
        return True

    async def _expect(self, line: ScriptLine) -> bool:
        message = self._waiting.pop(0) if self._waiting else await self._session.message()
        if message is None or not await self._fits(message[0], line):
            self.missed(line, message)
        return message is not None

    async def _fits(self, data: bytes, line: ScriptLine) -> bool:
        if self._helpers is None or len(data) <= _quick_message(line.value):
            return message_fits(data, line.value)
        place = line.place.where
        try:
            return await in_helper(self._exchange, self._helpers, "expect", place, message_fits, data, line.value)
        except TooLong:
            return False

    async def _wait(self, seconds: float) -> bool:
        """Wait; meanwhile answer pings, and return False if the client closes."""
        with anyio.move_on_after(seconds):
            while True:
                message = await self._session.message()
                if message is None:
                    return False
                self._waiting.append(message)
        return True

    def missed(self, line: ScriptLine, message: tuple[bytes, bool] | None) -> None:
        """Log that another message has arrived, or the client has left."""
        notes = self._exchange.log
        data: dict[str, Any] = {"line": line.place.line, "where": line.place.where, "expected": _conditions(line.value)}
        if message is None:
            data["closed"] = True
        else:
            data["received"] = notes.wire_content(message[0], self._exchange, "request")
        notes.rule_event(self._exchange, "script-mismatch", data)


def _message(value: Any) -> tuple[bytes, bool]:
    if isinstance(value, str):
        return value.encode(), False
    if "base64" in value:
        return value["base64"], True
    return json_bytes(value["json"]), False


def _conditions(value: Any) -> dict[str, Any]:
    return {"equals": value} if isinstance(value, str) else dict(value)


def _quick_message(expected: Any) -> int:
    """The length of a message, in bytes, up to which `message_fits` takes a few milliseconds at most."""
    regex = None if isinstance(expected, str) else expected.get("regex")
    return QUICK_BODY if regex is None else min(QUICK_BODY, quick_length(regex))


def message_fits(data: bytes, expected: Any) -> bool:
    """Whether a message is the expected one."""
    text = data.decode("utf-8", "replace")
    conditions = _conditions(expected)
    if "json" in conditions or "jsonIncludes" in conditions:
        try:
            document = parse(data)
        except ValueError:
            return False
        if "json" in conditions and not json_equal(conditions["json"], document):
            return False
        if "jsonIncludes" in conditions and not json_includes(conditions["jsonIncludes"], document):
            return False
    return (
        text == conditions.get("equals", text)
        and conditions.get("includes", "") in text
        and searcher(conditions.get("regex", ""))(text)
    )


STEPS = (
    StepSpec(Echo, lambda step, context: echo_handler(context.websocket), never_blocks=False, needs_body=True),
    StepSpec(
        WebSocketListen, lambda step, context: listen_handler(context.websocket), never_blocks=False, needs_body=True
    ),
    StepSpec(Reject, lambda step, context: reject_handler(step, context.scopes), never_blocks=True, needs_body=True),
    StepSpec(
        Script,
        lambda step, context: script_handler(step, context.websocket, context.upstream_client.helpers),
        never_blocks=False,
        needs_body=True,
    ),
)
