"""The channel without a client."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.send.null_channel import SILENT

pytestmark = pytest.mark.anyio


async def test_it_says_nothing_and_leaves_heads_as_they_are() -> None:
    headers = (("Connection", "close"), ("content-length", "99"), ("X", "1"), ("X", "2"))
    head = SILENT.frame(299, "Odd", headers, None, "a date")
    assert (head.status, head.reason, [tuple(pair) for pair in head.raw_headers]) == (299, "Odd", [*headers])
    assert head.headers["x"] == "1, 2"
    trailers = [["X-Sum", "1"]]
    assert SILENT.trailers(head, trailers) is trailers
    await SILENT.send_interim(103, "", [])
    await SILENT.send_whole(head, b"x", ())
    await SILENT.send_head(head)
    await SILENT.send_data(b"x")
    await SILENT.send_end(())
    await SILENT.send_raw(b"x")
    SILENT.close()
    SILENT.reset()


async def test_nobody_upgrades_it() -> None:
    with pytest.raises(AssertionError):
        SILENT.websocket_head([])
    with pytest.raises(AssertionError):
        await SILENT.accept_websocket(SILENT.frame(101, "", (), None, ""))
