"""HTTP/2, both sides. Inputs are frames in a form of their own, so that a change leaves most of them frames."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from fuzz_parts import LIMIT, joined, pieces, same_in_any_cut, told
from fuzz_target import Target
from hpack.hpack import Encoder

from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.frames import PREFACE
from mockrec.engine.wire.http2.server import H2Server
from mockrec.engine.wire.http2.streams import StreamPart
from mockrec.engine.wire.parts import Data, RequestPart


def frames(data: bytes) -> bytes:
    """Frames of an input: kind, flags, stream, length and as much of what follows. Behind 0xff it is taken as it is."""
    if data[:1] == b"\xff":
        return data[1:]
    out, at = b"", 0
    while at + 4 <= len(data):
        kind, flags, stream, size = data[at : at + 4]
        payload = data[at + 4 : at + 4 + size]
        out += len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
        at += 4 + size
    return out


def _spec(*said: tuple[int, int, int, bytes]) -> bytes:
    return b"".join(bytes((*head, len(payload))) + payload for *head, payload in said)


def _note(seen: dict[int, list[Any]], parts: Iterable[Any]) -> None:
    """By stream, because parts of several streams may come in another order; 0 is the connection."""
    for said in parts:
        stream, part = (said.stream, said.part) if isinstance(said, StreamPart) else (0, said)
        joined(seen.setdefault(stream, []), part)


def _seen(seen: dict[int, list[Any]]) -> object:
    return {stream: [told(part) for part in parts] for stream, parts in seen.items()}


SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def h2(data: bytes, chance: Random) -> None:
    raw = PREFACE + SETTINGS + frames(data)

    def read(data: Iterable[bytes]) -> object:
        side, seen = H2Server(head_limit=LIMIT, streams=5), dict[int, list[Any]]()
        side.start()
        for piece in data:
            _note(seen, side.receive(piece))
        _note(seen, side.receive_eof())
        return _seen(seen)

    same_in_any_cut(read, raw, chance)
    _h2_acting(raw, chance)


def _h2_acting(raw: bytes, chance: Random) -> None:
    """A server that does something on its streams meanwhile."""
    side = H2Server(head_limit=LIMIT, streams=5)
    side.start()
    head = side.frame(200, "", [("a", "b")], None, "now")
    begun: set[int] = set()
    for piece in pieces(raw, chance):
        for said in side.receive(piece):
            if not isinstance(said, StreamPart) or not side.is_open(said.stream):
                continue
            stream, act = said.stream, chance.randrange(6)
            if isinstance(said.part, Data):
                side.consumed(stream, len(said.part.data))
            elif isinstance(said.part, RequestPart) and act == 0:
                side.send_whole(stream, head, b"hello")
            elif act == 1 and stream not in begun:
                begun.add(stream)
                side.send_head(stream, head, end=chance.random() < 0.3)
            elif act == 2 and stream in begun and side.window(stream):
                side.send_data(stream, b"a", end=chance.random() < 0.3)
            elif act == 3 and stream not in begun:
                side.send_interim(stream, 103, [])
            elif act == 4:
                side.reset(stream, 8)
        side.outgoing()
    side.receive_eof()
    side.close()


def h2_client(data: bytes, chance: Random) -> None:
    method = chance.choice(("GET", "HEAD", "CONNECT"))
    asked = chance.randint(0, 3)

    def read(data: Iterable[bytes]) -> object:
        side, seen = H2Client(head_limit=LIMIT), dict[int, list[Any]]()
        side.start()
        for _ in range(asked):
            side.request(method, "a:1" if method == "CONNECT" else "/", "http", "a", [], end=True)
        for piece in data:
            _note(seen, side.receive(piece))
            side.outgoing()
        _note(seen, side.receive_eof())
        return _seen(seen)

    same_in_any_cut(read, SETTINGS + frames(data), chance)


def _block(*fields: tuple[str, str]) -> bytes:
    return Encoder().encode(list(fields))


_GOOD = ((":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"))
H2_REQUESTS = [
    _spec((1, 5, 1, _block(*_GOOD)), (1, 4, 3, _block(*_GOOD, ("content-length", "5"))), (0, 1, 3, b"hello")),
    _spec(
        (1, 0, 1, _block(*_GOOD)[:3]),
        (9, 4, 1, _block(*_GOOD)[3:]),
        (0, 8, 1, b"\2ab\0\0"),
        (1, 5, 1, _block(("x", "y"))),
    ),
    _spec((4, 0, 0, b"\0\4\0\0\0\1"), (8, 0, 0, b"\0\0\0\5"), (6, 0, 0, bytes(8)), (3, 0, 1, b"\0\0\0\x08")),
    _spec((1, 0x25, 1, bytes(5) + _block(*_GOOD)), (2, 0, 1, bytes(5)), (7, 0, 0, bytes(8)), (5, 4, 1, bytes(9))),
    b"\xff" + SETTINGS,
]
H2_RESPONSES = [
    _spec((1, 4, 1, _block((":status", "200"))), (0, 1, 1, b"hello"), (1, 5, 3, _block((":status", "204")))),
    _spec(
        (1, 4, 1, _block((":status", "103"), ("link", "a"))),
        (1, 4, 1, _block((":status", "200"), ("content-length", "2"))),
    ),
    _spec(
        (4, 0, 0, b"\0\3\0\0\0\1"), (7, 0, 0, bytes(8) + b"bye"), (3, 0, 1, b"\0\0\0\7"), (8, 0, 1, b"\x7f\xff\xff\xff")
    ),
]
H2_TOKENS = [bytes((kind, flags, stream)) for kind in range(10) for flags in (0, 1, 4, 5) for stream in (0, 1, 3)]

TARGETS = [
    Target("h2", h2, H2_REQUESTS, H2_TOKENS),
    Target("h2-client", h2_client, H2_RESPONSES, H2_TOKENS),
]
