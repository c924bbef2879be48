"""The response to a replayed request, recorded as it arrives; all of it has to arrive in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from anyio.lowlevel import checkpoint_if_cancelled

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.recording.backpressure import Backpressure
from mockrec.engine.upstream.errors import TIMED_OUT, UpstreamError
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Data, End, Part, ResponseHead


def as_received(head: ResponseHead) -> PreparedResponse:
    """Return a response with this head and no body yet. `NULL_CHANNEL` would frame its head into an equal one, so the
    received head takes that place: servers send equal heads again and again, and their log form is kept with them."""
    framed: dict[object, ResponseHead] = {(None, False, None): head, (None, True, None): head}
    return PreparedResponse(head.status, reason=head.reason, relayed=True, framed=framed)


class ResponseRecorder:
    """Records one response."""

    def __init__(self, stream: UpstreamStream, exchange: Exchange, seconds: float, backpressure: Backpressure) -> None:
        """The whole response has `seconds` from now."""
        stream.set_deadline(seconds)
        self._stream = stream
        self._exchange = exchange
        self._seconds = seconds
        self._until = clock.now() + seconds * 1000.0
        self._backpressure = backpressure

    async def interim(self, head: ResponseHead) -> None:
        """Record an interim response. Raises UpstreamError."""
        await self._check()
        pairs = [(name, value) for name, value in head.raw_headers if name != ":status"]
        await self._exchange.send_interim(head.status, pairs)

    async def record(self, head: ResponseHead, parts: Sequence[Part], enough: float = math.inf) -> bool:
        """Record the final response, of which `parts` were received together with the head, up to `enough` bytes of its
        body. Return whether it was read to its end. Raises UpstreamError."""
        exchange = self._exchange
        response = as_received(head)
        if enough == math.inf and parts and type(parts[-1]) is End:
            response.body = b"".join([part.data for part in parts if type(part) is Data])
            response.trailers = tuple((name, value) for name, value in parts[-1].trailers)
            await exchange.reply(response)
            return True
        await exchange.begin(response)
        size = 0
        while True:
            for part in parts:
                if type(part) is Data:
                    size += len(part.data)
                    await exchange.send(part.data)
                elif type(part) is End:
                    await exchange.finish(part.trailers)
                    return True
            if size >= enough:
                return False
            await self._check()
            parts = await self._stream.receive(None)

    async def _check(self) -> None:
        """Raise UpstreamError once the time is over, and wait while the log is behind.

        Reading from a server that sends faster than it is read never waits, so that neither the deadline of the stream
        nor the end of the replay would be noticed there.
        """
        await checkpoint_if_cancelled()
        if clock.now() > self._until:
            raise UpstreamError(TIMED_OUT, f"no end of its answer within {self._seconds:g}s")
        if self._backpressure.behind:
            await self._backpressure.wait_for_room()
