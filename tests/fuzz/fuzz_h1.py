"""HTTP/1, both sides, and its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from fuzz_parts import LIMIT, joined, same_in_any_cut, told
from fuzz_target import Target

from mockrec.engine.wire.http1.chunked import ChunkedBody
from mockrec.engine.wire.http1.client import H1Client
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import End, Fault


def _h1_parts(data: Iterable[bytes]) -> list[object]:
    server, seen = H1Server(LIMIT), list[Any]()

    def take(parts: list[Any]) -> bool:
        while parts:
            for part in parts:
                assert not (seen and isinstance(seen[-1], Fault)), "a part behind a fault"
                joined(seen, part)
            if type(parts[-1]) is not End:
                break
            server.send_head(server.frame(404, "", (), None, "now"))
            server.send_end()
            if not server.reusable:
                return False
            parts = server.next_request()
        return True

    if all(take(server.receive(piece)) for piece in data):
        take(server.receive_eof())
    return [told(part) for part in seen]


def h1(data: bytes, chance: Random) -> None:
    same_in_any_cut(_h1_parts, data, chance)


def h1_client(data: bytes, chance: Random) -> None:
    method = chance.choice(("GET", "HEAD", "CONNECT", "POST"))
    upgrade = chance.random() < 0.1

    def read(data: Iterable[bytes]) -> object:
        client, seen = H1Client(LIMIT), list[Any]()
        client.send_request(method, "/", [["Host", "a"]], body=False, upgrade=upgrade)
        for piece in data:
            for part in client.receive(piece):
                joined(seen, part)
        for part in client.receive_eof():
            joined(seen, part)
        ends = [type(part) for part in seen if isinstance(part, (End, Fault))]
        assert len(ends) <= 1 and (not ends or isinstance(seen[-1], (End, Fault)))
        return [told(part) for part in seen]

    same_in_any_cut(read, data, chance)


def chunked(data: bytes, chance: Random) -> None:
    def read(data: Iterable[bytes]) -> object:
        body, seen, rest = ChunkedBody(64), list[Any](), b""
        for piece in data:
            if seen and isinstance(seen[-1], (End, Fault)):
                rest += piece
                continue
            for part in body.receive(piece):
                joined(seen, part)
        behind = body.rest + rest if seen and isinstance(seen[-1], End) else b""
        return [told(part) for part in seen], behind

    same_in_any_cut(read, data, chance)


REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n",
    b"\r\nPOST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: b\r\n\r\n",
    b"PUT http://b.test/x HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.0 200\nConnection: close\n\nuntil the end",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x01a",
    b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
]
CHUNKS = [
    b"5\r\nhello\r\n0\r\n\r\nrest",
    b"a;b=c\r\n0123456789\r\n00\r\nA: b\r\nC: d\r\n\r\n",
    b"1 ;x\r\na\r\n0\r\n\r\n",
]
TOKENS = b"GET POST HTTP/1.1 HTTP/1.0 Host: Content-Length: Transfer-Encoding: chunked Connection: close Upgrade: 0 5".split()

TARGETS = [
    Target("h1", h1, REQUESTS, TOKENS),
    Target("h1-client", h1_client, RESPONSES, TOKENS),
    Target("chunked", chunked, CHUNKS),
]
