"""HTTP/1 on a pipe, from the first request to the last: bytes → parts → exchanges, each answered in turn.

The whole conversation is one task. Only while a rule takes its time, or a body is still coming, a second one
reads, so that the body goes on and a client that leaves is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

import anyio
import anyio.lowlevel

from mockrec.engine import clock
from mockrec.engine.errors import described
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, read_target_uri
from mockrec.engine.server import tunnel
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.dispatch import select_plan
from mockrec.engine.server.http1_channel import H1Channel
from mockrec.engine.server.proxy_auth import authenticate
from mockrec.engine.server.refusal import http1_refusal
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.http1.odd_fields import client_odd_tags
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import Data, End, Fault, Part, RequestHead, RequestPart

TIMEOUT = "ERR_HTTP_REQUEST_TIMEOUT"
RESET = "ECONNRESET"
TOO_MANY = "ERR_TOO_MANY_CONNECTIONS"
TOOK_NOTHING: Final = {
    "name": "ClientError",
    "code": "ERR_HTTP_SEND_TIMEOUT",
    "message": "the client took nothing of the answer for server.timeouts.sendIdle",
}
"""The error of an exchange whose client does not read."""

_MOST_PIPELINED = 256 * 1024
"""Bytes of further requests that are read ahead while one is answered."""
_TURNS = 32
"""Pipelined exchanges that one connection may have before the others have their turn."""
_LINGER_SECONDS = 1.0


class Gone(Exception):
    """The client has left, and nothing is wrong with that."""


class _Broken(Exception):
    """The client broke the protocol."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class Watched(Protocol):
    """Whoever looks at the clock for us."""

    deadline: float
    """When the client has taken too long, in monotonic milliseconds."""
    stalled: bool
    """Whether it has been ended because it took nothing of what was sent."""


class Http1Connection:
    """One HTTP/1 conversation. `hold` returns when it is over."""

    def __init__(
        self, pipe: ByteStream, site: ServerContext, peer: ClientConnection, origin: ConnectionContext, watched: Watched
    ) -> None:
        self._pipe = pipe
        self._site = site
        self._peer = peer
        self._origin = origin
        self._watched = watched
        self._codec = H1Server(site.limits.head, lenient=site.lenient)
        self._channel = H1Channel(self._codec, pipe)
        self._exchange: Exchange | None = None
        self._tunnel: tuple[str, int | None] | None = None
        self._head_began = clock.now()
        self._first = True
        self._stopping = False
        self._scope = anyio.CancelScope()
        """Ended when the client leaves while it is waiting. One for all exchanges: making one takes its time."""

    async def stop(self) -> None:
        """End as soon as nothing is under way: now, or after the exchange at hand."""
        self._stopping = True
        if self._exchange is None and not self._codec.head_begun:
            await self._pipe.aclose()

    def give_up(self, error: dict[str, str]) -> None:
        """The process ends now: abort what is open. May be called while the event loop is held up."""
        if self._exchange is not None:
            self._exchange.abort(error)

    async def refuse(self, *, patient: bool) -> None:
        """Turn the client away: there are as many connections as there may be. `patient`: it has time to read that."""
        await self._refuse(Fault(TOO_MANY, status=503), linger=patient)

    async def hold(self, first: bytes) -> tunnel.Opened | None:
        """Answer everything the client asks, until one side ends the connection, or the client wants a tunnel.

        `first` has been read already. The caller closes the pipe.
        """
        try:
            with self._scope:
                return await self._converse(first)
        except Gone:
            pass
        except _Broken as broken:
            await self._refuse(broken.fault)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client has gone while it was being answered; what was open is aborted below
        except Exception as error:
            self._site.report_defect(error)
            if self._exchange is not None:
                self._exchange.abort({"code": "E_DEFECT", **described(error)})
        finally:
            if self._exchange is not None:
                if self._watched.stalled:
                    self._exchange.abort(TOOK_NOTHING)
                self._exchange.client_left()
        return None

    async def _converse(self, first: bytes) -> tunnel.Opened | None:
        parts: Sequence[Part] = self._codec.receive(first)
        turns = 0
        while True:
            self._take(parts)
            exchange = self._exchange
            if exchange is None:
                if self._tunnel is not None:
                    await self._pipe.send(tunnel.ESTABLISHED)
                    return tunnel.Opened(self._tunnel, self._peer.tags, self._codec.take_rest())
                parts = await self._receive()
                continue
            await self._answer(exchange)
            while not (exchange.request_body.complete or self._channel.ended):
                # Answered early: the rest of the request is still recorded.
                self._take(await self._receive())
            self._exchange = None
            if self._channel.ended or self._stopping or self._site.closing or not self._codec.reusable:
                await self._end(linger=not exchange.request_body.complete)
                return None
            parts = self._codec.next_request()
            self._head_began = clock.now()
            if parts:
                turns += 1
                if turns % _TURNS == 0:
                    await anyio.lowlevel.checkpoint()
            else:
                parts = await self._receive()

    async def _answer(self, exchange: Exchange) -> None:
        """Find the rule and let it act."""
        await self._run(await select_plan(self._site, exchange, self._take_more), exchange)

    async def _take_more(self) -> None:
        self._take(await self._receive())

    async def _run(self, plan: CompiledSteps, exchange: Exchange) -> None:
        if not exchange.request_body.complete:
            await self._run_while_reading(plan, exchange)
        elif plan.never_blocks:
            await plan.run(exchange)
        else:
            await self._run_while_watching(plan, exchange)

    async def _run_while_watching(self, plan: CompiledSteps, exchange: Exchange) -> None:
        """Run the rule; the client's leaving ends it, and the conversation. Pipelined requests wait unread."""
        self._pipe.watch(self._scope.cancel)
        try:
            await plan.run(exchange)
        finally:
            self._pipe.watch(None)

    async def _run_while_reading(self, plan: CompiledSteps, exchange: Exchange) -> None:
        """Run the rule while the request body goes on; the client's leaving ends it."""
        ended: list[Gone | _Broken] = []
        failed: list[Exception] = []
        async with anyio.create_task_group() as group:

            def left() -> None:
                ended.append(Gone())
                group.cancel_scope.cancel()

            async def read() -> None:
                try:
                    while self._codec.buffered <= _MOST_PIPELINED:
                        self._take(await self._receive())
                        if exchange.body_stream is not None and exchange.body_stream.full:
                            self._pipe.watch(left)  # nobody reads meanwhile
                            await exchange.body_stream.wait_for_room()
                            self._pipe.watch(None)
                except (Gone, _Broken) as end:
                    if plan.never_blocks and isinstance(end, Gone) and exchange.request_body.complete:
                        return  # it may have closed its side only, and the answer is about to be there
                    ended.append(end)
                    group.cancel_scope.cancel()

            group.start_soon(read)
            try:
                await plan.run(exchange)
            except Exception as error:
                failed.append(error)
            group.cancel_scope.cancel()
        self._pipe.watch(None)
        if ended and not exchange.finished:
            raise ended[0]
        if failed:
            raise failed[0]
        if ended and not exchange.request_body.complete:
            raise ended[0]

    async def _end(self, *, linger: bool) -> None:
        """FIN. With `linger`, or bytes that nobody will read, the client has time to read what is on its way:

        closing a socket that has unread bytes resets the connection, and takes the answer away again.
        """
        await self._pipe.send_eof()
        if not (linger or self._pipe.readable or self._codec.buffered):
            return
        with anyio.move_on_after(_LINGER_SECONDS):
            try:
                while True:
                    await self._pipe.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                pass

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────

    async def _receive(self) -> Sequence[Part]:
        """What the next bytes complete. Raises Gone, or _Broken where the client must not stop."""
        site, codec = self._site, self._codec
        if site.backpressure.behind:
            await site.backpressure.wait_for_room()
        if self._exchange is None:
            if codec.head_begun or self._first:
                self._watched.deadline = self._head_began + site.timeouts.head * 1000.0
            else:
                self._watched.deadline = clock.now() + site.timeouts.keep_alive * 1000.0
        elif codec.reading_body:
            self._watched.deadline = clock.now() + site.timeouts.body_idle * 1000.0
        begun = codec.head_begun
        try:
            data = await self._pipe.receive()
        except anyio.EndOfStream:
            parts = codec.receive_eof()
            if not parts:
                raise Gone from None
            return parts
        except anyio.BrokenResourceError:
            if not (begun or codec.reading_body):
                raise Gone from None
            raise _Broken(Fault(RESET, status=0, raw=codec.pending)) from None
        except TimeoutError:
            if not (begun or codec.reading_body):
                raise Gone from None
            self._pipe.unexpire()
            raise _Broken(Fault(TIMEOUT, status=408, raw=codec.pending)) from None
        self._watched.deadline = math.inf
        if not begun and self._exchange is None:
            self._head_began = clock.now()
        return codec.receive(data)

    def _take(self, parts: Sequence[Part]) -> None:
        """Hand parts to the exchange they belong to; a request begins one."""
        for part in parts:
            kind = type(part)
            if kind is RequestPart:
                self._begin(part.head)  # type: ignore[union-attr, arg-type]
                if self._tunnel is not None:
                    return  # what is behind the head is the tunnel's
            elif kind is Data:
                self._exchange.take_data(part.data)  # type: ignore[union-attr]
            elif kind is End:
                if part.odd:  # type: ignore[union-attr]
                    self._exchange.tag(*client_odd_tags(part.odd))  # type: ignore[union-attr]
                self._exchange.take_end(part.trailers)  # type: ignore[union-attr]
            else:
                raise _Broken(part)  # type: ignore[arg-type]

    def _begin(self, head: RequestHead) -> None:
        self._first = False
        if head.method == "CONNECT":
            self._begin_tunnel(head)
            return
        address = read_target_uri(head, self._peer.local_port, self._origin)
        if isinstance(address, str):
            raise _Broken(Fault(address, raw=_as_sent(head)))
        site = self._site
        exchange = Exchange(head, address, self._peer, self._channel, site.notes, site.match_limit, site.log_limit)
        tags = authenticate(site, self._peer, self._origin, address, head)
        if tags is None:
            raise _Broken(Fault(tunnel.AUTH_REQUIRED, status=407, raw=_as_sent(head)))
        if tags or head.odd:
            exchange.tag(*tags, *head.odd)
        self._exchange = exchange
        site.notes.request_initiated(exchange)

    def _begin_tunnel(self, head: RequestHead) -> None:
        """CONNECT (RFC 9110, 9.3.6): what follows is for somebody else, and is looked at from its first byte."""
        target = tunnel.read_authority(head.target)
        if isinstance(target, str):
            raise _Broken(Fault(target, raw=_as_sent(head)))
        if head.has_body:
            raise _Broken(Fault(tunnel.CONNECT_WITH_BODY, raw=_as_sent(head)))
        inside = self._origin.tunnel is not None  # the password here is that of another proxy, or was said already
        tags = tunnel.admitted(head.headers, None if inside else self._site.auth)
        if tags is None:
            raise _Broken(Fault(tunnel.AUTH_REQUIRED, status=407, raw=_as_sent(head)))
        self._peer.tags += (*tags, *head.odd)
        self._tunnel = target

    # ── what must not be ───────────────────────────────────────────────────────────────────────────

    async def _refuse(self, fault: Fault, *, linger: bool = True) -> None:
        """Tell the client, if it can still be told, and the log."""
        exchange = self._exchange
        answered, body = None, b""
        if fault.status and not (exchange is not None and (exchange.response_started or self._channel.ended)):
            answered, body, answer = http1_refusal(fault)
            if exchange is not None and exchange.channel.bodiless:
                answer, body = answer.removesuffix(body), b""
            self._site.refusals.tell(fault, str(fault.status))
            try:
                await self._pipe.send(answer)
            except anyio.BrokenResourceError:
                answered = None
        started_at = exchange.started_at if exchange is not None else self._head_began
        self._site.notes.client_error(
            *(self._peer, fault, self._origin),
            started_at=started_at,
            answered=answered,
            body=body,
            exchange=exchange,
        )
        if exchange is not None:
            exchange.abort({"name": "ClientError", "code": fault.code, "message": fault_words(fault)})
            self._exchange = None
        if answered is not None and linger:
            await self._end(linger=True)


def _as_sent(head: RequestHead) -> bytes:
    lines = [f"{head.method} {head.target} HTTP/{head.version}"]
    lines += [f"{name}: {value}" for name, value in head.raw_headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
