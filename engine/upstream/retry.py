"""One request over a `UpstreamStream`: its body goes out while its answer comes in, and may be needed again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from mockrec.engine.upstream.errors import REFUSED, RESET, TIMED_OUT, UNSENDABLE, UpstreamError
from mockrec.engine.upstream.headers import RawHeaders
from mockrec.engine.upstream.stream import UpstreamStream

PIECE = 256 * 1024
"""Bytes of a whole body that go to a server at once."""
ATTEMPTS = 3
"""How often a request is sent, if the servers have not looked at it."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2

T = TypeVar("T")


def may_repeat(carrier: UpstreamStream, error: UpstreamError, method: str, *, is_new: bool) -> bool:
    """Whether a request whose body is still there can be sent again, because the server has not looked at it: it has
    refused it (RFC 9113, 8.7), or closed the idle connection while the request was on its way (RFC 9112, 9.3.1)."""
    if error.code == REFUSED:
        return True
    lost = error.code in (RESET, "EPIPE") and not (carrier.answered or carrier.informed)
    return lost and not is_new and method in _IDEMPOTENT


async def while_sending(send: Callable[[], Awaitable[None]], receive: Callable[[], Awaitable[T]]) -> T:
    """What `receive` gives, while `send` sends a body; it ends when the answer is there, however much has been sent.

    A server that has said why it hangs up is still heard; one that takes no more of the body is not waited for.
    """
    failures: list[Exception] = []
    received: list[T] = []
    async with anyio.create_task_group() as group:

        async def sending() -> None:
            try:
                await send()
            except UpstreamError as error:
                if error.code in (TIMED_OUT, UNSENDABLE):
                    failures.append(error)
                    group.cancel_scope.cancel()

        group.start_soon(sending)
        try:
            received.append(await receive())
        except Exception as error:
            failures.append(error)
        group.cancel_scope.cancel()
    if failures:
        raise failures[0]
    return received[0]


async def send_whole(carrier: UpstreamStream, body: bytes, trailers: RawHeaders, seconds: float) -> None:
    """A body that is there: in pieces, so that a server that takes none of it for so long is noticed."""
    for start in range(0, len(body), PIECE):
        await carrier.send_data(body[start : start + PIECE], seconds)
    await carrier.send_end(trailers, seconds)
