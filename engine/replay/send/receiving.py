"""The answer to a replayed request, told to the log as it comes; all of it has to be there in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from anyio.lowlevel import checkpoint_if_cancelled

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.upstream.client import Backpressure
from mockrec.engine.upstream.errors import TIMED_OUT, UpstreamError
from mockrec.engine.upstream.stream import UpstreamStream
from mockrec.engine.wire.parts import Data, End, Interim, Part, ResponsePart


class Receiving:
    """One answer."""

    def __init__(self, carrier: UpstreamStream, exchange: Exchange, seconds: float, backpressure: Backpressure) -> None:
        """The time that it has, in seconds, begins now."""
        carrier.allow(seconds)
        self._carrier = carrier
        self._exchange = exchange
        self._seconds = seconds
        self._until = clock.now() + seconds * 1000.0
        self._backpressure = backpressure

    async def head(self) -> tuple[ResponsePart, Sequence[Part]]:
        """The final head and what came with it. Raises UpstreamError, as the other methods do."""
        while True:
            parts = await self._next()
            for index, part in enumerate(parts):
                if isinstance(part, ResponsePart):
                    return part, parts[index + 1 :]
                if isinstance(part, Interim):
                    pairs = [(name, value) for name, value in part.head.raw_headers if name != ":status"]
                    await self._exchange.send_interim(part.head.status, pairs)

    async def rest(self, response: ResponsePart, parts: Sequence[Part], enough: float = math.inf) -> bool:
        """The answer with this head, as far as so many bytes of its body; whether that was all of it."""
        exchange, head = self._exchange, response.head
        headers = tuple([(name, value) for name, value in head.raw_headers])
        answer = PreparedResponse(head.status, headers, reason=head.reason, relayed=True)
        if enough == math.inf and parts and type(parts[-1]) is End:
            answer.body = b"".join([part.data for part in parts if type(part) is Data])
            answer.trailers = tuple((name, value) for name, value in parts[-1].trailers)
            await exchange.reply(answer)
            return True
        await exchange.begin(answer)
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
            parts = await self._next()

    async def _next(self) -> Sequence[Part]:
        """What comes next. Whoever sends faster than it is read is never waited for: so the time is looked at here,
        and whether the replay has been stopped."""
        await checkpoint_if_cancelled()
        if clock.now() > self._until:
            raise UpstreamError(TIMED_OUT, f"no end of its answer within {self._seconds:g}s")
        if self._backpressure.behind:
            await self._backpressure.wait_for_room()
        return await self._carrier.receive(None)
