"""A request's body and its answer at the same time, and whether the request may be sent again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from mockrec.engine.upstream.errors import REFUSED, RESET, TIMED_OUT, UpstreamError
from mockrec.engine.upstream.request_loop import PIECE, may_repeat, send_whole, while_sending

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("code", "method", "is_new", "said", "repeated"),
    [
        (RESET, "GET", False, "", True),
        ("EPIPE", "DELETE", False, "", True),
        (RESET, "GET", True, "", False),
        (RESET, "POST", False, "", False),
        (RESET, "GET", False, "responded", False),
        (RESET, "GET", False, "interim", False),
        (TIMED_OUT, "GET", False, "", False),
        (REFUSED, "POST", True, "interim", True),
    ],
)
def test_only_what_no_server_has_looked_at_is_sent_again(
    code: str, method: str, is_new: bool, said: str, repeated: bool
) -> None:
    stream: Any = SimpleNamespace(responded=said == "responded", interim_received=said == "interim")
    assert may_repeat(stream, UpstreamError(code, "lost"), method, is_new=is_new) is repeated


async def _forever() -> None:
    await anyio.sleep_forever()


async def test_the_answer_ends_it_however_much_was_sent() -> None:
    async def receive() -> str:
        return "answer"

    assert await while_sending(_forever, receive) == "answer"


async def test_a_server_that_has_answered_and_hangs_up_is_heard() -> None:
    gone = anyio.Event()

    async def send() -> None:
        gone.set()
        raise UpstreamError("EPIPE", "gone")

    async def receive() -> str:
        await gone.wait()
        return "413"

    assert await while_sending(send, receive) == "413"


async def test_a_server_that_takes_nothing_is_not_waited_for() -> None:
    async def send() -> None:
        raise UpstreamError(TIMED_OUT, "it takes nothing")

    with pytest.raises(UpstreamError, match="takes nothing"):
        await while_sending(send, _forever)


async def test_what_receiving_raises_comes_out_as_it_is() -> None:
    async def receive() -> None:
        raise UpstreamError(RESET, "no answer")

    with pytest.raises(UpstreamError, match="no answer"):
        await while_sending(_forever, receive)


async def test_a_body_goes_in_pieces() -> None:
    sent: list[Any] = []

    async def send_data(data: bytes, seconds: float) -> None:
        sent.append((len(data), seconds))

    async def send_end(trailers: Any, seconds: float) -> None:
        sent.append((trailers, seconds))

    stream: Any = SimpleNamespace(send_data=send_data, send_end=send_end)
    await send_whole(stream, b"x" * (PIECE + 1), (("A", "1"),), 3.0)
    assert sent == [(PIECE, 3.0), (1, 3.0), ((("A", "1"),), 3.0)]
