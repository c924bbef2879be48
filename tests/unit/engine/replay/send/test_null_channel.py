"""The channel without a client."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.send.null_channel import NULL_CHANNEL

pytestmark = pytest.mark.anyio


async def test_it_says_nothing_and_leaves_heads_as_they_are() -> None:
    headers = (("Connection", "close"), ("content-length", "99"), ("X", "1"), ("X", "2"))
    head = NULL_CHANNEL.frame(299, "Odd", headers, None, "a date")
    assert (head.status, head.reason, [tuple(pair) for pair in head.raw_headers]) == (299, "Odd", [*headers])
    assert head.headers["x"] == "1, 2"
    trailers = [["X-Sum", "1"]]
    assert NULL_CHANNEL.trailers(head, trailers) is trailers
    await NULL_CHANNEL.send_interim(103, "", [])
    await NULL_CHANNEL.send_whole(head, b"x", ())
    await NULL_CHANNEL.send_head(head)
    await NULL_CHANNEL.send_data(b"x")
    await NULL_CHANNEL.send_end(())
    await NULL_CHANNEL.send_raw(b"x")
    NULL_CHANNEL.close()
    NULL_CHANNEL.reset()


async def test_nobody_upgrades_it() -> None:
    with pytest.raises(AssertionError):
        NULL_CHANNEL.websocket_head([])
    with pytest.raises(AssertionError):
        await NULL_CHANNEL.accept_websocket(NULL_CHANNEL.frame(101, "", (), None, ""))
