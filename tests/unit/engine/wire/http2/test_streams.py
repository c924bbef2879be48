"""Credit is given for what has been used, what is sent fits the windows, and streams end when they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from mockrec.engine.wire.http2 import streams as h2_streams
from mockrec.engine.wire.http2.server import StreamPart
from mockrec.engine.wire.http2.streams import STREAM_WINDOW
from mockrec.engine.wire.parts import Data, ResetPart

NewPeer = Callable[..., Any]

LIMIT = 1024
NO_ERROR, FLOW, REFUSED, CANCEL = 0, 3, 7, 8
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """A window of connections that is soon used up."""
    window = 4 * STREAM_WINDOW
    monkeypatch.setattr(h2_streams, "CONNECTION_WINDOW", window)
    return window


def test_a_server_that_closes_gently_ends_what_it_has_begun(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.server.close()
    peer.server.close()
    (notice,) = peer.heard()
    assert isinstance(notice, GoAwayFrame) and (notice.last_stream_id, notice.error_code) == (1, NO_ERROR)
    assert peer.say(peer.head(3, GET)) == [
        StreamPart(
            3,
            ResetPart(
                REFUSED, "the connection is being closed", by_peer=False, raw_headers=[list(pair) for pair in GET]
            ),
        )
    ]
    peer.server.send_head(1, peer.server.frame(204, "", [], 0, ""), end=True)
    rst, answer = peer.heard()
    assert isinstance(rst, RstStreamFrame) and isinstance(answer, HeadersFrame)


def test_a_server_that_closes_with_an_error_is_done(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.server.close(2)
    (notice,) = peer.heard()
    assert isinstance(notice, GoAwayFrame) and notice.error_code == 2
    peer.server.close()
    assert not peer.server.is_open(1) and peer.server.window(1) == 0 and peer.server.outgoing() == b""
    assert peer.say(peer.head(3, GET)) == [] and peer.server.receive_eof() == []


def test_no_credit_is_given_before_the_data_is_used(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    piece = DataFrame(1, b"a" * 16384)
    assert len(peer.say(*[piece] * (STREAM_WINDOW // 16384))) == STREAM_WINDOW // 16384
    assert peer.windows() == []
    peer.server.consumed(1, STREAM_WINDOW)
    assert peer.windows() == [(1, STREAM_WINDOW)]
    peer.broken(peer.say(*[piece] * (STREAM_WINDOW // 16384), DataFrame(1, b"a")), FLOW)


def test_more_than_was_received_cannot_be_used(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.say(DataFrame(1, b"a" * 10))
    peer.server.consumed(1, STREAM_WINDOW)
    peer.server.consumed(1, STREAM_WINDOW)
    peer.server.consumed(99, STREAM_WINDOW)
    assert peer.windows() == []


def test_data_for_a_stream_that_was_given_up_is_settled_here(new_peer: NewPeer, narrow: int) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.say(*[DataFrame(1, b"a" * 16384)] * 10)
    peer.server.reset(1, CANCEL)
    peer.server.reset(1, CANCEL)
    for _ in range(600):
        assert peer.say(DataFrame(1, b"a" * 16384)) == []
    assert sum(size for _, size in peer.windows()) > narrow


def test_data_behind_a_head_that_was_too_large_is_settled_here(new_peer: NewPeer, narrow: int) -> None:
    peer = new_peer()
    peer.say(peer.head(1, [*POST, ("x", "y" * LIMIT)], end=False))
    for _ in range(600):
        assert peer.say(DataFrame(1, b"a" * 16384)) == []
    assert {stream for stream, _ in peer.windows()} == {0, 1}


def test_padding_is_settled_here(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    padded = DataFrame(1, b"a", pad_length=255, flags=["PADDED"])
    for _ in range(STREAM_WINDOW // 250):
        assert peer.say(padded) == [StreamPart(1, Data(b"a"))]
    assert peer.windows() == [(1, STREAM_WINDOW // 2)] * 2


def test_what_was_not_used_when_the_client_gave_up_is_settled_here(new_peer: NewPeer, narrow: int) -> None:
    peer = new_peer()
    for stream in range(1, 40, 2):
        peer.ask(stream, POST, end=False)
        peer.say(*[DataFrame(stream, b"a" * 16384)] * 15)
        assert peer.say(RstStreamFrame(stream, CANCEL)) == [StreamPart(stream, ResetPart(CANCEL))]
        peer.server.consumed(stream, 16384)


def test_the_peer_s_windows_bound_what_is_sent(new_peer: NewPeer) -> None:
    peer = new_peer(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    server = peer.server
    assert server.window(1) == 0
    peer.ask(1)
    assert server.window(1) == 10
    server.send_head(1, server.frame(200, "", [], None, ""), end=False)
    server.send_data(1, b"0123456789", end=False)
    assert server.window(1) == 0
    peer.say(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 4}))
    assert server.window(1) == 0
    peer.say(WindowUpdateFrame(1, 100))
    assert server.window(1) == 94
    peer.say(WindowUpdateFrame(1, 100_000))
    assert server.window(1) == 65535 - 10
    server.send_data(1, b"", end=True)
    assert server.window(1) == 0 and not server.is_open(1)


def test_data_is_cut_into_frames_that_the_peer_takes(new_peer: NewPeer) -> None:
    for size in (0, 1, 16383, 16384, 16385, 32768, 40000):
        peer = new_peer()
        peer.ask(1)
        peer.server.send_head(1, peer.server.frame(200, "", [], None, ""), end=False)
        peer.heard()
        body = bytes(range(250)) * 200
        peer.server.send_data(1, body[:size], end=True)
        heard = [frame for frame in peer.heard() if isinstance(frame, DataFrame)]
        assert b"".join(frame.data for frame in heard) == body[:size]
        assert max(len(frame.data) for frame in heard) <= 16384
        assert ["END_STREAM" in frame.flags for frame in heard] == [False] * (len(heard) - 1) + [True]
        assert all(frame.data for frame in heard) or size == 0


def test_trailers_that_cannot_be_sent_change_nothing(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    peer.server.send_head(1, peer.server.frame(200, "", [], None, ""), end=False)
    peer.heard()
    with pytest.raises(ValueError):
        peer.server.send_end(1, [("a", "b\n")])
    assert peer.server.outgoing() == b"" and peer.server.is_open(1)
    peer.server.send_end(1)
    (end,) = peer.heard()
    assert isinstance(end, DataFrame) and "END_STREAM" in end.flags


def test_a_server_that_answers_early_may_give_up_the_rest(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1, POST, end=False)
    peer.server.send_head(1, peer.server.frame(413, "", [], 0, ""), end=True)
    assert peer.server.is_open(1) and peer.server.window(1) == 0
    peer.server.reset(1, NO_ERROR)
    assert peer.resets() == [(1, NO_ERROR)] and not peer.server.is_open(1)
