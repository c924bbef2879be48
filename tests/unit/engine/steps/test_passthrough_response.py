"""The head that a client gets for a server's: made once for equal exchanges, and never that of another one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.rules.model import HeaderChanges, ResponseChanges
from mockrec.engine.server.http1_channel import Http1Channel
from mockrec.engine.steps.passthrough_response import client_response, relayed_response
from mockrec.engine.wire.http1.response_head import read_response_head
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import RequestPart, ResponseHead

HEADS = {
    name: read_response_head(b"HTTP/1.1 " + text.replace(b"\n", b"\r\n") + b"\r\n\r\n")
    for name, text in {
        "length": b"200 OK\nDate: today\nContent-Length: 5\nConnection: keep-alive",
        "chunks": b"200 Fine\nTransfer-Encoding: chunked\nTrailer: X",
        "not modified": b"304 Not Modified\nContent-Length: 5",
        "no framing": b"200 OK\nSet-Cookie: a=b\nset-cookie: c=d",
    }.items()
}
CHANGES = {
    "none": ResponseChanges(),
    "status": ResponseChanges(status=201),
    "headers": ResponseChanges(headers=HeaderChanges(set=(("X-Set", "1"),), remove=("date",))),
}
REQUESTS = st.tuples(
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["HTTP/1.1\r\n", "HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\n"]),
    st.sampled_from([None, 0, 5]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(CHANGES)),
)


def exchange_of(method: str, line_end: str) -> Any:
    codec = H1Server(4096)
    part = codec.receive(f"{method} / {line_end}Host: a\r\n\r\n".encode())[0]
    assert isinstance(part, RequestPart)
    return SimpleNamespace(head=part.head, channel=Http1Channel(codec, None), edited=None)  # type: ignore[arg-type]


@given(st.sampled_from(sorted(HEADS)), st.lists(REQUESTS, min_size=1, max_size=8))
def test_the_shared_head_of_a_server_gives_each_client_its_own(name: str, requests: list[Any]) -> None:
    head = HEADS[name]
    assert isinstance(head, ResponseHead)
    for method, line_end, length, trailers, streamed, changes in requests:
        exchange = exchange_of(method, line_end)
        found, expected = (
            make(exchange, CHANGES[changes], head, length, trailers=trailers)
            for make in (relayed_response, client_response)
        )
        for response in (found, expected):
            response.body = b"" if streamed else b"Hello"
            response.trailers = (("X", "1"),) if trailers else ()
        sent, right = (one.framed(exchange.channel, length, streamed=streamed) for one in (found, expected))
        assert sent == right
        assert sent.wire.text == right.wire.text
        assert (found.status, found.reason, found.headers) == (expected.status, expected.reason, expected.headers)


def test_equal_exchanges_get_one_object() -> None:
    head = HEADS["length"]
    assert isinstance(head, ResponseHead)
    exchange = exchange_of("GET", "HTTP/1.1\r\n")
    changes = ResponseChanges()
    first, again = (relayed_response(exchange, changes, head, 5) for _ in range(2))
    assert first is not again
    first.body = again.body = b"Hello"
    assert first.framed(exchange.channel) is again.framed(exchange.channel)
