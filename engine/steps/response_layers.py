"""Changes of the response to an exchange, whatever step gives it: by rules with `continue: true`, and by functions
around a server. The rule that matched first is the outermost layer: its changes are made last.

Only a change that needs the whole body holds a body that arrives in pieces; with all others it is sent as it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import REASONS, PreparedResponse
from mockrec.engine.offload.pool import TooLong
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.model import HeaderChanges, ResponseChanges, SourceLocation
from mockrec.engine.steps import faults
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.hooks import Hook, ResponseView
from mockrec.engine.steps.message_change import body_after, too_long, with_type
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.python import user_failed
from mockrec.engine.steps.transform import TransformError, changed_headers
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.headers import with_chunks, with_length, without
from mockrec.engine.usercode.failure import UserError
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES

_OF_SOCKETS = ("connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")


class ChangeFailed(Exception):
    """A response cannot be changed as a rule wants. No further change is made, so that the failure can be sent."""

    def __init__(self, rule: CompiledRule | None, message: str, instead: StepHandler | None = None) -> None:
        """`instead` handles the exchange in place of a response; without it, the client gets the message."""
        super().__init__(message)
        self.rule = rule
        self.message = message
        self._instead = instead

    async def respond(self, exchange: Exchange) -> None:
        """Respond with the failure, and log it, unless the exchange is over."""
        if exchange.finished:
            return
        exchange.acting_rule = self.rule
        if self._instead is not None:
            await self._instead(exchange)
        else:
            await reply_failure(exchange, self.message)


class Layer(msgspec.Struct, frozen=True):
    """The changes that one step makes to a response."""

    place: SourceLocation
    changes: ResponseChanges
    hook: Hook | None = None
    """A function that gets the response after the changes."""

    @property
    def reads_body(self) -> bool:
        return self.changes.body is not None or self.hook is not None


class ResponseLayers:
    """All changes of the response to one exchange (`exchange/response_editor.py`)."""

    __slots__ = ("_layers", "_pieces", "_response", "_size", "_upstream_client", "holds")

    def __init__(self, upstream_client: UpstreamClient) -> None:
        self._upstream_client = upstream_client
        self._layers: list[tuple[Layer, CompiledRule | None]] = []
        self._response: PreparedResponse | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.holds = False

    def add(self, layer: Layer, rule: CompiledRule | None) -> None:
        """Add the innermost layer: its changes are made before those of the layers added so far."""
        self._layers.insert(0, (layer, rule))

    @property
    def reads_body(self) -> bool:
        """Whether a layer needs the whole body, if there is one."""
        return any(layer.reads_body for layer, _ in self._layers)

    async def whole(self, exchange: Exchange, response: PreparedResponse) -> PreparedResponse:
        """The complete response after all changes. Raises ChangeFailed."""
        for layer, rule in self._layers:
            try:
                response = await self._changed(exchange, layer, response, is_whole=True)
            except (TransformError, TooLong) as error:
                exchange.response_editor = None
                raise ChangeFailed(rule, f"the answer cannot be changed: {error}") from None
            response = await self._hooked(exchange, layer, rule, response)
        return response

    async def _hooked(
        self, exchange: Exchange, layer: Layer, rule: CompiledRule | None, response: PreparedResponse
    ) -> PreparedResponse:
        """The response after the layer's function. Raises ChangeFailed."""
        hook = layer.hook
        if hook is None or response.is_own:
            return response
        fields = [list(pair) for pair in response.headers]
        seen = ResponseView(response, fields, response.status, response.body, self._upstream_client.body_limit)
        try:
            edit = await hook.of_response(seen, exchange.view)
            if edit is None:
                return response
            if isinstance(edit, str):
                exchange.response_editor = None
                raise ChangeFailed(rule, edit, faults.close if edit == "close" else faults.reset)
            response = await self._changed(exchange, Layer(layer.place, edit.changes), response, is_whole=True)
        except UserError as failed:
            exchange.response_editor = None
            instead = partial(user_failed, failed=failed, report=hook.report)
            raise ChangeFailed(rule, str(failed), instead) from None
        except (TransformError, TooLong) as error:
            exchange.response_editor = None
            raise ChangeFailed(rule, f"the answer cannot be changed: {error}") from None
        if edit.reason is not None:
            response.reason = edit.reason
        return response

    async def begun(
        self, exchange: Exchange, response: PreparedResponse, length: int | None
    ) -> tuple[PreparedResponse, int | None] | None:
        """The head of a response whose body follows, and its length, after all changes; None if the body is held until
        it is complete. Raises ChangeFailed."""
        if self.reads_body and not (exchange.channel.bodiless or response.status in BODILESS_STATUSES):
            if length is not None and length > self._upstream_client.body_limit:
                exchange.response_editor = None
                raise ChangeFailed(self._layers[0][1], too_long("response", length, self._upstream_client.body_limit))
            self.holds = True
            self._response = response
            return None
        for layer, rule in self._layers:
            response = await self._changed(exchange, layer, response, is_whole=False)
            response = await self._hooked(exchange, layer, rule, response)  # only for a response without a body
        return response, length

    def take(self, data: bytes) -> None:
        """Hold a piece of the body. Raises ChangeFailed."""
        self._size += len(data)
        if self._size > self._upstream_client.body_limit:
            self.holds = False
            self._pieces = []
            rule = self._layers[0][1]
            self._layers = []
            raise ChangeFailed(rule, too_long("response", self._size, self._upstream_client.body_limit))
        self._pieces.append(data)

    async def complete(self, exchange: Exchange, trailers: Sequence[Sequence[str]]) -> None:
        """Send the response whose body was held. Raises ChangeFailed."""
        held = self._response
        assert held is not None
        self.holds = False
        fields = held.trailers or tuple((name, value) for name, value in trailers)
        whole = PreparedResponse(
            held.status,
            held.headers,
            b"".join(self._pieces),
            reason=held.reason,
            trailers=fields,
            relayed=held.relayed,
        )
        self._pieces = []
        await exchange.reply(whole)

    def upgrade(self, fields: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """The fields of a WebSocket's 101 after all changes, which do not touch those of the handshake (RFC 6455,
        4.2.2)."""
        for layer, _ in self._layers:
            own = [pair for pair in fields if pair[0].lower() in _OF_SOCKETS]
            others = [pair for pair in fields if pair[0].lower() not in _OF_SOCKETS]
            changed = changed_headers(others, layer.changes.headers)
            fields = [*own, *((name, value) for name, value in changed if name.lower() not in _OF_SOCKETS)]
        return fields

    async def _changed(
        self, exchange: Exchange, layer: Layer, response: PreparedResponse, *, is_whole: bool
    ) -> PreparedResponse:
        """The response after the changes of one layer. Raises TransformError and TooLong."""
        changes = layer.changes
        if response.is_own:
            changes = ResponseChanges(headers=changes.headers)
        status = changes.status or response.status
        fields = _changed_fields(response, changes.headers)
        body, change = response.body, changes.body
        if change is not None and (exchange.channel.bodiless or status in BODILESS_STATUSES):
            fields = without(fields, *FRAMING_NAMES)  # they describe another body than the changed one
        elif change is not None and is_whole:
            encoding = ", ".join(value for name, value in response.headers if name.lower() == "content-encoding")
            place = f"{layer.place.where}.response"
            body = await body_after(exchange, body, encoding, fields, change, self._upstream_client, place)
            fields = with_type(framed(fields, response, len(body)), change)
        return PreparedResponse(
            status,
            tuple([(name, value) for name, value in fields]),
            body,
            reason=response.reason if changes.status is None else REASONS.get(status, ""),
            trailers=response.trailers,
            relayed=response.relayed,
            is_own=response.is_own,
        )


def _changed_fields(response: PreparedResponse, changes: HeaderChanges) -> list[list[str]]:
    """The fields after their changes; those that frame the body are not changed."""
    if changes == HeaderChanges():
        return [list(pair) for pair in response.headers]
    fields = without(changed_headers(response.headers, changes), *FRAMING_NAMES)
    return [*fields, *([name, value] for name, value in response.headers if name.lower() in FRAMING_NAMES)]


def framed(fields: list[list[str]], response: PreparedResponse, length: int) -> list[list[str]]:
    """The fields for a body of another length. Those of a server's response frame it; other responses are framed when
    they are sent."""
    if not response.relayed:
        return without(fields, *FRAMING_NAMES)
    return with_chunks(fields) if response.trailers else with_length(fields, length)
