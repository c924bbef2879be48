"""What else a peer may send: WebSocket, the first bytes of TLS and SOCKS, content codings."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import brotli
import zstandard
from fuzz_parts import same_in_any_cut, told
from fuzz_target import Target

from mockrec.engine.wire.client_hello import ClientHello, read_client_hello
from mockrec.engine.wire.sniff import sniff
from mockrec.engine.wire.socks.client import SocksRefused, connect4, connect5
from mockrec.engine.wire.socks.server import SocksRequest, SocksServer
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, WebSocket, WsFault
from mockrec.engine.wire.websocket.handshake import Deflate
from mockrec.formats.content.codings import UndecodableError, decode


def websocket(data: bytes, chance: Random) -> None:
    side = chance.choice(("server", "client"))
    deflate = chance.choice(
        (None, Deflate(), Deflate(server_no_context_takeover=True, client_no_context_takeover=True))
    )

    def read(data: Iterable[bytes]) -> object:
        ws = WebSocket(side, deflate=deflate, message_limit=2000)
        seen: list[Any] = []
        for piece in data:
            for part in ws.receive(piece):
                assert not (seen and isinstance(seen[-1], (CloseFrame, WsFault))), "a part behind the end"
                last = seen[-1] if seen else None
                if isinstance(part, Fragment) and isinstance(last, Fragment) and not (last.ends or part.starts):
                    seen[-1] = Fragment(last.data + part.data, last.is_binary, last.starts, part.ends)
                else:
                    seen.append(part)
        if seen and isinstance(seen[-1], WsFault):
            # What came of the last message before the fault in it depends on how it came.
            fault = seen.pop()
            while seen and isinstance(seen[-1], Fragment) and not seen[-1].ends:
                seen.pop()
            return seen, fault.code
        if seen and isinstance(seen[-1], Fragment) and not seen[-1].data and not seen[-1].ends:
            seen.pop()
        return seen, 0

    same_in_any_cut(read, data, chance)


def _ws_samples() -> list[bytes]:
    client, server = (WebSocket(side, deflate=Deflate(), message_limit=9999) for side in ("client", "server"))
    found = []
    for end in (client, server):
        said = end.send_message(b"hello" * 20, is_binary=False) + end.send_ping(b"x")
        said += end.send_fragment(b"a", is_binary=True, starts=True, ends=False)
        found.append(
            said + end.send_fragment(b"b" * 200, is_binary=True, starts=False, ends=True) + end.send_close(1000, "bye")
        )
    return [*found, b"\x81\x05hello", b"\x81\x85\1\2\3\4ikohn", b"\x82\x7e\x01\x00" + bytes(256), b"\x88\x02\x03\xe8"]


def client_hello(data: bytes, chance: Random) -> None:
    for opening in (data, data[: chance.randint(0, len(data))]):
        sniff(opening, socks=chance.random() < 0.5)
        read = read_client_hello(opening)
        if isinstance(read, ClientHello):
            assert len(read.ja3) == 32 and read.ja4.count("_") == 2 and read.ja3_text.count(",") == 4


def _hellos() -> list[bytes]:
    captured = json.loads(Path(__file__).parents[1].joinpath("data", "hellos.json").read_text(encoding="utf-8"))
    return [bytes.fromhex(one["hex"]) for one in captured.values() if "hex" in one]


def socks(data: bytes, chance: Random) -> None:
    accepts = chance.choice((None, lambda name, secret: name == secret))
    methods = chance.choice((("no-auth",), ("user-password-metadata", "no-auth")))

    def read(data: Iterable[bytes]) -> object:
        server, out, ended = SocksServer(methods, accepts), b"", None
        for piece in data:
            said, result = server.receive(piece)
            out += said
            ended = ended or result
        ended = ended or server.receive_eof()
        if isinstance(ended, SocksRequest):
            return out, ended.host, ended.port, server.rest, ended.accept(), ended.refuse("general-failure")
        return out, None if ended is None else told(ended)

    same_in_any_cut(read, data, chance)
    for handshake in (connect5("a.test", 80, chance.choice((None, "me")), "you"), connect4("127.0.0.1", 80, None)):
        at = 0
        try:
            _, wanted = next(handshake)
            while at + wanted <= len(data):
                answer, at = data[at : at + wanted], at + wanted
                _, wanted = handshake.send(answer)
        except (StopIteration, SocksRefused):
            pass


CODINGS = ("gzip", "deflate", "br", "zstd", "x-gzip", "identity", "cow")


def content(data: bytes, chance: Random) -> None:
    """The first byte tells the coding, so that inputs of one kind stay of that kind."""
    codings = [CODINGS[data[0] % len(CODINGS)]] if data else []
    if chance.random() < 0.1:
        codings.append(chance.choice(CODINGS))
    limit = chance.choice((100, 1 << 20))
    try:
        out, _ = decode(data[1:], codings, limit, whole=chance.random() < 0.5)
    except UndecodableError:
        return
    assert len(out) <= max(limit + (64 << 10), len(data))


def _packed() -> list[bytes]:
    text, bomb = b"hello hello hello" * 9, bytes(1 << 22)
    zstd = zstandard.ZstdCompressor()
    packers = (gzip.compress, zlib.compress, brotli.compress, zstd.compress)
    return [bytes((number,)) + pack(said) for number, pack in enumerate(packers) for said in (text, bomb)]


TARGETS = [
    Target("websocket", websocket, _ws_samples(), [b"\x01", b"\x00", b"\x80", b"\xc1", b"\x81\x7e", b"\x81\xff", b"\x88\x02"]),
    Target("client-hello", client_hello, _hellos()),
    Target("socks", socks, [b"\5\1\0\5\1\0\3\6a.test\0\x50rest", b"\4\1\0\x50\0\0\0\1me\0a.test\0", b"\5\1\2\1\2me\2me\5\1\0\1\x7f\0\0\1\0\x50"]),
    Target("content", content, _packed()),
]  # fmt: skip
