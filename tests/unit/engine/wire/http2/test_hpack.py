"""Compressed fields stay right when tables change, and what is lost or too much ends the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hyperframe.frame import (
    HeadersFrame,
    SettingsFrame,
)

from mockrec.engine.wire.http2.hpack import FieldDecoder

NewPeer = Callable[..., Any]

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]


def test_a_repeated_head_is_read_right_after_the_table_changed(new_peer: NewPeer) -> None:
    peer = new_peer(streams=100)
    for at in range(40):
        fields = [*GET, ("x", str(at // 3)), ("y", "z" * (at // 7))]
        assert peer.ask(2 * at + 1, fields).raw_headers == [list(pair) for pair in fields]


def test_the_table_follows_the_peer_s_settings(new_peer: NewPeer) -> None:
    peer = new_peer(streams=50)
    answer = peer.server.frame(200, "", [("x", "y"), ("z", "longer")], 0, "now")
    sizes = [4096, 0, 0, 100, 65536, 2**32 - 1, 40, 4096, 4096]
    for at, size in enumerate(sizes):
        # A client that shrinks its table requires the signal; h2's own client checks that.
        peer.say(SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: size}))
        peer.decoder.max_allowed_table_size = size
        for stream in (4 * at + 1, 4 * at + 3):
            peer.ask(stream)
            peer.server.send_head(stream, answer, end=True)
        for frame in peer.heard():
            if isinstance(frame, HeadersFrame):
                assert peer.fields(frame) == [(name, value) for name, value in answer.raw_headers]
    assert peer.server._conn.encoder.header_table.maxsize == 4096


def test_a_table_that_shrank_twice_before_it_was_used(new_peer: NewPeer) -> None:
    peer = new_peer()
    peer.ask(1)
    answer = peer.server.frame(200, "", [("x", "y")], 0, "")
    peer.server.send_head(1, answer, end=True)
    peer.fields(peer.heard()[-1])
    for size in (0, 0):
        peer.say(SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: size}))
    peer.heard()
    peer.decoder.max_allowed_table_size = 0
    peer.ask(3)
    peer.server.send_head(3, answer, end=True)
    assert peer.fields(peer.heard()[-1])[1] == ("x", "y")


def test_a_short_block_of_many_fields_is_not_kept() -> None:
    """A byte may stand for a field of 42 bytes: what a connection keeps is limited by what it means."""
    decoder = FieldDecoder(1_000_000, shown=0)
    decoder.max_header_list_size = 1_000_000
    for number in range(50):
        decoder.decode(b"\x82" * 1000 + b"\x84" * number)
    assert not decoder._independent
    decoder.decode(b"\x82\x84")
    assert len(decoder._independent) == 1
