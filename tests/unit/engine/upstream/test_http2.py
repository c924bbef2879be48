"""Streams to servers of HTTP/2; the server is our own codec at the other end of a pipe in memory."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hyperframe.frame import GoAwayFrame

from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.errors import REFUSED, UpstreamError
from mockrec.engine.upstream.http2 import Http2UpstreamConnection
from mockrec.engine.upstream.http2_stream import Http2UpstreamStream
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import Route, UpstreamTransport
from mockrec.engine.wire.http2.server import H2Server, StreamPart
from mockrec.engine.wire.parts import Data, End, RequestPart, ResetPart, ResponsePart

pytestmark = pytest.mark.anyio

SECONDS = 60.0


class Pipe:
    """Leads to a server's codec."""

    peer = ("192.0.2.1", 443)
    local = ("192.0.2.2", 5000)

    def __init__(self, streams: int = 10) -> None:
        self.server = H2Server(head_limit=65536, streams=streams)
        self.server.start()
        self.said: list[StreamPart] = []
        self.coming: list[bytes | Exception] = []
        self.news = anyio.Event()
        self.closed = 0
        self.stuck = False

    async def wait_writable(self) -> None:
        if self.stuck:
            await anyio.sleep_forever()

    def reset(self) -> None:
        self.say(anyio.ClosedResourceError())

    def write_nowait(self, data: bytes) -> None:
        self.said += [part for part in self.server.receive(data) if isinstance(part, StreamPart)]
        self.news.set()

    async def receive(self, max_bytes: int = 0) -> bytes:
        while not self.coming:
            self.news = anyio.Event()
            data = self.server.outgoing()
            if data:
                return data
            await self.news.wait()
        said = self.coming.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def say(self, said: bytes | Exception = b"") -> None:
        """What the codec has to say, and this."""
        self.coming += [one for one in (self.server.outgoing(), said) if one]
        self.news.set()

    def close(self) -> None:
        self.closed += 1
        self.say(anyio.ClosedResourceError())

    def heads(self) -> list[dict[str, Any]]:
        return [part.part.head.headers for part in self.said if isinstance(part.part, RequestPart)]

    def resets(self) -> list[int]:
        return [part.part.code for part in self.said if isinstance(part.part, ResetPart)]

    def answer(self, stream: int, body: bytes = b"ok", status: int = 200, end: bool = True) -> None:
        self.server.send_head(stream, self.server.frame(status, "", [], None, ""), end=False)
        if body:
            self.server.send_data(stream, body, end=end)
        self.say()


class Made:
    def __init__(
        self, pipe: Pipe, connection: Http2UpstreamConnection, forgotten: list[Http2UpstreamConnection]
    ) -> None:
        self.pipe = pipe
        self.connection = connection
        self.forgotten = forgotten
        self.done: list[Http2UpstreamStream] = []

    def stream(self) -> Http2UpstreamStream:
        return Http2UpstreamStream(self.connection, self.done.append)


@asynccontextmanager
async def connected(streams: int = 10) -> AsyncIterator[Made]:
    pipe, forgotten = Pipe(streams), []
    async with anyio.create_task_group() as group:
        transport = UpstreamTransport(pipe, is_http2=True)  # type: ignore[arg-type]
        connection = Http2UpstreamConnection(transport, group, forgotten.append)  # type: ignore[attr-defined]
        group.start_soon(connection.read)
        with anyio.fail_after(SECONDS):
            await connection.wait_for_settings(SECONDS)
            yield Made(pipe, connection, forgotten)
        connection.close()
    assert len(forgotten) == 1


def asking(method: str = "GET", *fields: list[str]) -> UpstreamRequest:
    options = SimpleNamespace(settings=SimpleNamespace(head_timeout=SECONDS))
    route = Route(True, "b.test", 443, "b.test", options)  # type: ignore[arg-type]
    return UpstreamRequest(route, "https", method, "/a", [["Host", "b.test"], *fields])


async def ask(
    stream: Http2UpstreamStream, request: UpstreamRequest, body: bytes | None, trailers: Any, *, more: bool
) -> bool:
    return await stream.send_request(request, stream.fields(request), body, trailers, more=more)


async def rest(stream: Http2UpstreamStream) -> list[Any]:
    parts: list[Any] = []
    while not (parts and isinstance(parts[-1], End)):
        parts += await stream.receive(SECONDS)
    return parts


async def test_a_request_and_its_answer() -> None:
    async with connected() as made:
        stream = made.stream()
        assert await ask(stream, asking(), None, (), more=False)
        assert made.pipe.heads() == [{":method": "GET", ":scheme": "https", ":authority": "b.test", ":path": "/a"}]
        assert not stream.responded
        made.pipe.answer(1)
        response, *parts = await rest(stream)
        assert isinstance(response, ResponsePart)
        assert (response.head.status, response.head.version) == (200, "2.0")
        assert parts == [Data(b"ok"), End()]
        assert (stream.responded, stream.request_number) == (True, 1)
        stream.close()
        assert made.pipe.resets() == []
        assert made.done == [stream]
        second = made.stream()
        assert (second.request_number, made.connection.has_room) == (2, True)
        second.close()


async def test_streams_do_not_wait_for_each_other() -> None:
    async with connected() as made:
        streams = [made.stream() for _ in range(3)]
        for stream in streams:
            await ask(stream, asking(), None, (), more=False)
        for number in (5, 1, 3):
            made.pipe.answer(number, str(number).encode())
        for number, stream in zip((1, 3, 5), streams, strict=True):
            assert (await rest(stream))[1] == Data(str(number).encode())
            stream.close()


async def test_a_body_that_fits_goes_at_once_and_a_larger_one_as_the_windows_open() -> None:
    async with connected() as made:
        first, second = made.stream(), made.stream()
        assert await ask(first, asking("POST"), b"small", [("x-sum", "5")], more=True)
        assert [part.part for part in made.pipe.said[1:]] == [Data(b"small"), End([["x-sum", "5"]])]
        body = bytes(3_000_000)
        assert not await ask(second, asking("POST"), body, (), more=True)

        async def send() -> None:
            await second.send_data(body, SECONDS)
            await second.send_end((), SECONDS)

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            got = 0
            while got < len(body):
                await anyio.lowlevel.checkpoint()
                for part in made.pipe.said:
                    if part.stream == 3 and isinstance(part.part, Data):
                        got += len(part.part.data)
                        made.pipe.server.consumed(3, len(part.part.data))
                made.pipe.said = [part for part in made.pipe.said if part.stream != 3 or isinstance(part.part, End)]
                made.pipe.say()
        assert made.pipe.said[-1] == StreamPart(3, End())
        first.close()
        second.close()


async def test_what_nobody_reads_is_not_credited() -> None:
    async with connected() as made:
        stream = made.stream()
        await ask(stream, asking(), None, (), more=False)
        window = made.pipe.server.window(1)
        made.pipe.answer(1, bytes(60_000), end=False)
        await anyio.wait_all_tasks_blocked()
        assert made.pipe.server.window(1) == window - 60_000
        while not any(isinstance(part, Data) for part in await stream.receive(SECONDS)):
            pass
        stream.close()
        assert made.pipe.resets() == [8]


@pytest.mark.parametrize(
    ("happens", "code", "text"),
    [
        (lambda made: made.pipe.server.reset(1, 7), REFUSED, "it refused the request (REFUSED_STREAM)"),
        (lambda made: made.pipe.server.reset(1, 11), "ERR_HTTP2_STREAM_ERROR", "it reset the stream with ENHANCE_YOUR_CALM (11)"),
        (lambda made: made.pipe.server.reset(1, 99), "ERR_HTTP2_STREAM_ERROR", "it reset the stream with an unknown code (99)"),
        (
            lambda made: made.pipe.say(GoAwayFrame(0, last_stream_id=0).serialize()),
            REFUSED,
            "it refused the request (the server is leaving)",
        ),
        (lambda made: made.pipe.say(anyio.EndOfStream()), "ECONNRESET", "it closed the connection before its answer was complete"),
        (lambda made: made.pipe.say(anyio.BrokenResourceError()), "ECONNRESET", "the connection was reset"),
        (lambda made: made.pipe.say(TlsError("bad record mac")), "EPROTO", "TLS failed: bad record mac"),
        (lambda made: made.pipe.say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ERR_HTTP2_ERROR", "its answer is not HTTP/2"),
    ],
)  # fmt: skip
async def test_whatever_happens_is_told_as_the_servers_failure(
    happens: Callable[[Made], None], code: str, text: str
) -> None:
    async with connected() as made:
        stream = made.stream()
        await ask(stream, asking(), None, (), more=False)
        happens(made)
        made.pipe.say()
        with pytest.raises(UpstreamError) as caught:
            await rest(stream)
        assert (caught.value.code, str(caught.value)[: len(text)]) == (code, text)
        stream.close()


async def test_a_deadline() -> None:
    async with connected() as made:
        stream = made.stream()
        await ask(stream, asking(), None, (), more=False)
        assert stream.deadline == math.inf
        stream.set_deadline(2)
        assert stream.deadline < math.inf
        stream.expire()
        with pytest.raises(UpstreamError, match="no answer within 2s"):
            await stream.receive(None)
        stream.close()
        await anyio.wait_all_tasks_blocked()
        assert made.pipe.resets() == [8]
        assert made.connection.has_room


async def test_no_more_streams_than_the_server_takes() -> None:
    async with connected(streams=1) as made:
        first, second = made.stream(), made.stream()
        await ask(first, asking(), None, (), more=False)
        assert not made.connection.has_room
        with pytest.raises(UpstreamError) as caught:
            await ask(second, asking(), None, (), more=False)
        assert caught.value.code == REFUSED
        first.close()
        second.close()
        await anyio.wait_all_tasks_blocked()
        assert made.connection.has_room


async def test_a_server_that_leaves_is_left_when_the_last_stream_is_over() -> None:
    async with connected() as made:
        stream = made.stream()
        await ask(stream, asking(), None, (), more=False)
        made.pipe.say(GoAwayFrame(0, last_stream_id=1).serialize())
        await anyio.wait_all_tasks_blocked()
        assert (made.connection.has_room, made.pipe.closed) == (False, 0)
        made.pipe.answer(1)
        assert (await rest(stream))[-1] == End()
        stream.close()
        assert made.pipe.closed == 1


async def test_a_websocket_is_a_pipe_in_a_stream() -> None:
    async with connected() as made:
        stream = made.stream()
        await stream.send_websocket_request(
            asking("GET", ["Sec-WebSocket-Key", "abc"], ["Sec-WebSocket-Version", "13"])
        )
        head = made.pipe.heads()[0]
        assert (head[":method"], head[":protocol"], head["sec-websocket-version"]) == ("CONNECT", "websocket", "13")
        assert "sec-websocket-key" not in head
        made.pipe.answer(1, b"first", end=False)
        response, *parts = await stream.receive(SECONDS)
        assert isinstance(response, ResponsePart)
        assert stream.accepts_websocket(response.head.status)
        assert not stream.accepts_websocket(403)
        pipe, first = stream.upgrade(parts)
        if not first:
            first = await pipe.receive()
        assert first == b"first"
        await pipe.send(b"said")
        assert made.pipe.said[-1] == StreamPart(1, Data(b"said"))
        made.pipe.server.send_data(1, b"heard", end=True)
        made.pipe.say()
        assert await pipe.receive() == b"heard"
        with pytest.raises(anyio.EndOfStream):
            await pipe.receive()
        stream.close()
        await anyio.wait_all_tasks_blocked()
        assert made.pipe.said[-1] == StreamPart(1, End())
