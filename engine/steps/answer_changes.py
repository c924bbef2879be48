"""Changes of the answer to an exchange, whatever gives it: those of rules that went on, and of functions around a
server. The rule that was asked first has the last word, as the outermost of them.

Only a change that needs the whole body holds a body that comes in pieces; all others let it pass as it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

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
from mockrec.engine.wire.syntax import BODILESS_STATUSES

_FRAMING = ("content-length", "transfer-encoding")
_OF_SOCKETS = ("connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")


class ChangeFailed(Exception):
    """An answer cannot be changed as a rule wants. No change is made any more, so that this can be answered."""

    def __init__(self, rule: CompiledRule | None, message: str, instead: StepHandler | None = None) -> None:
        """`instead`: what is done in place of an answer; without it, the client is told the message."""
        super().__init__(message)
        self.rule = rule
        self.message = message
        self._instead = instead

    async def answer(self, exchange: Exchange) -> None:
        """Tell the client, and the log, unless the exchange is over."""
        if exchange.finished:
            return
        exchange.acting_rule = self.rule
        if self._instead is not None:
            await self._instead(exchange)
        else:
            await reply_failure(exchange, self.message)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one step makes of an answer."""

    place: SourceLocation
    changes: ResponseChanges
    hook: Hook | None = None
    """A function that sees the answer after the changes."""

    @property
    def reads_body(self) -> bool:
        return self.changes.body is not None or self.hook is not None


class AnswerChanges:
    """All changes of the answer to one exchange (`exchange/response_editor.py`)."""

    __slots__ = ("_answer", "_layers", "_pieces", "_size", "_upstream_client", "holds")

    def __init__(self, upstream_client: UpstreamClient) -> None:
        self._upstream_client = upstream_client
        self._layers: list[tuple[Layer, CompiledRule | None]] = []
        self._answer: PreparedResponse | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.holds = False

    def add(self, layer: Layer, rule: CompiledRule | None) -> None:
        """Change by this first: it stands nearer to what answers than those there are."""
        self._layers.insert(0, (layer, rule))

    @property
    def reads_body(self) -> bool:
        """Whether the whole body is needed, where there is one."""
        return any(layer.reads_body for layer, _ in self._layers)

    async def whole(self, exchange: Exchange, answer: PreparedResponse) -> PreparedResponse:
        """Raises ChangeFailed."""
        for layer, rule in self._layers:
            try:
                answer = await self._changed(exchange, layer, answer, is_whole=True)
            except (TransformError, TooLong) as error:
                exchange.response_editor = None
                raise ChangeFailed(rule, f"the answer cannot be changed: {error}") from None
            answer = await self._hooked(exchange, layer, rule, answer)
        return answer

    async def _hooked(
        self, exchange: Exchange, layer: Layer, rule: CompiledRule | None, answer: PreparedResponse
    ) -> PreparedResponse:
        """The answer after the layer's function has seen it. Raises ChangeFailed."""
        hook = layer.hook
        if hook is None or answer.is_own:
            return answer
        fields = [list(pair) for pair in answer.headers]
        seen = ResponseView(answer, fields, answer.status, answer.body, self._upstream_client.body_limit)
        try:
            edit = await hook.of_response(seen, exchange.view)
            if edit is None:
                return answer
            if isinstance(edit, str):
                exchange.response_editor = None
                raise ChangeFailed(rule, edit, faults.close if edit == "close" else faults.reset)
            answer = await self._changed(exchange, Layer(layer.place, edit.changes), answer, is_whole=True)
        except UserError as failed:
            exchange.response_editor = None
            told = partial(user_failed, failed=failed, report=hook.report)
            raise ChangeFailed(rule, str(failed), told) from None
        except (TransformError, TooLong) as error:
            exchange.response_editor = None
            raise ChangeFailed(rule, f"the answer cannot be changed: {error}") from None
        if edit.reason is not None:
            answer.reason = edit.reason
        return answer

    async def begun(
        self, exchange: Exchange, answer: PreparedResponse, length: int | None
    ) -> tuple[PreparedResponse, int | None] | None:
        """Raises ChangeFailed."""
        if self.reads_body and not (exchange.channel.bodiless or answer.status in BODILESS_STATUSES):
            if length is not None and length > self._upstream_client.body_limit:
                exchange.response_editor = None
                raise ChangeFailed(self._layers[0][1], too_long("response", length, self._upstream_client.body_limit))
            self.holds = True
            self._answer = answer
            return None
        for layer, rule in self._layers:
            answer = await self._changed(exchange, layer, answer, is_whole=False)
            answer = await self._hooked(exchange, layer, rule, answer)  # here only where there is no body
        return answer, length

    def take(self, data: bytes) -> None:
        """Raises ChangeFailed."""
        self._size += len(data)
        if self._size > self._upstream_client.body_limit:
            self.holds = False
            self._pieces = []
            rule = self._layers[0][1]
            self._layers = []
            raise ChangeFailed(rule, too_long("response", self._size, self._upstream_client.body_limit))
        self._pieces.append(data)

    async def complete(self, exchange: Exchange, trailers: Sequence[Sequence[str]]) -> None:
        """Raises ChangeFailed."""
        held = self._answer
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
        """The handshake's own fields stay as they are (RFC 6455, 4.2.2)."""
        for layer, _ in self._layers:
            own = [pair for pair in fields if pair[0].lower() in _OF_SOCKETS]
            others = [pair for pair in fields if pair[0].lower() not in _OF_SOCKETS]
            changed = changed_headers(others, layer.changes.headers)
            fields = [*own, *((name, value) for name, value in changed if name.lower() not in _OF_SOCKETS)]
        return fields

    async def _changed(
        self, exchange: Exchange, layer: Layer, answer: PreparedResponse, *, is_whole: bool
    ) -> PreparedResponse:
        """Raises TransformError and TooLong."""
        changes = layer.changes
        if answer.is_own:
            changes = ResponseChanges(headers=changes.headers)
        status = changes.status or answer.status
        fields = _changed_fields(answer, changes.headers)
        body, change = answer.body, changes.body
        if change is not None and (exchange.channel.bodiless or status in BODILESS_STATUSES):
            fields = without(fields, *_FRAMING)  # they tell of another body than there would be
        elif change is not None and is_whole:
            encoding = ", ".join(value for name, value in answer.headers if name.lower() == "content-encoding")
            place = f"{layer.place.where}.response"
            body = await body_after(exchange, body, encoding, fields, change, self._upstream_client, place)
            fields = with_type(framed(fields, answer, len(body)), change)
        return PreparedResponse(
            status,
            tuple([(name, value) for name, value in fields]),
            body,
            reason=answer.reason if changes.status is None else REASONS.get(status, ""),
            trailers=answer.trailers,
            relayed=answer.relayed,
            is_own=answer.is_own,
        )


def _changed_fields(answer: PreparedResponse, changes: HeaderChanges) -> list[list[str]]:
    """The fields after their changes; those that frame the body are what they were."""
    if changes == HeaderChanges():
        return [list(pair) for pair in answer.headers]
    fields = without(changed_headers(answer.headers, changes), *_FRAMING)
    return [*fields, *([name, value] for name, value in answer.headers if name.lower() in _FRAMING)]


def framed(fields: list[list[str]], answer: PreparedResponse, length: int) -> list[list[str]]:
    """The fields for another body. What a server said is framed by them, all else when it is sent."""
    if not answer.relayed:
        return without(fields, *_FRAMING)
    return with_chunks(fields) if answer.trailers else with_length(fields, length)
