"""Posts of webhooks to servers of their own on this machine: what is sent, which status comes back, and what fails."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mockrec.engine.steps import webhook_delivery
from mockrec.engine.steps.webhook_delivery import Webhooks, post
from mockrec.engine.tls.authority import Authority
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.tls.trust import ensure_ca, load_ca
from mockrec.engine.transport.connector import Connector
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.errors import UpstreamError

pytestmark = pytest.mark.anyio

Serve = Callable[[SocketStream], Awaitable[None]]


def new_dialer() -> Dialer:
    return Dialer(Connector().connect, ClientContexts(), lambda host, port: False)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """The port on which each connection is served."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:

        async def one(stream: SocketStream) -> None:
            async with stream:
                await serve(stream)

        group.start_soon(listener.serve, one)
        yield listener.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def read_request(stream: SocketStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


def answering(answer: bytes, requests: list[bytes]) -> Serve:
    async def serve(stream: SocketStream) -> None:
        requests.append(await read_request(stream))
        await stream.send(answer)

    return serve


async def failure(url: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await post(new_dialer(), url, b"{}")
    return caught.value


async def test_a_post_and_its_status() -> None:
    requests: list[bytes] = []
    dialer = new_dialer()
    async with server(answering(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n", requests)) as port:
        assert await post(dialer, f"http://user:word@127.0.0.1:{port}/a?b=c", b'{"x": 1}') == 202
    assert requests == [
        b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
        b'Connection: close\r\n\r\n{"x": 1}' % port
    ]
    assert dialer._open_ends == set()


async def test_an_interim_response_is_not_the_status() -> None:
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    )
    async with server(answering(answer, [])) as port:
        assert await post(new_dialer(), f"http://127.0.0.1:{port}", b"{}") == 204


async def test_a_long_body_and_a_server_that_refuses_it_early() -> None:
    requests: list[bytes] = []
    body = b"x" * 3_000_000
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", requests)) as port:
        assert await post(new_dialer(), f"http://127.0.0.1:{port}/", body) == 200
    assert requests[0].endswith(body)

    async def refuse(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await anyio.sleep_forever()

    async with server(refuse) as port:
        assert await post(new_dialer(), f"http://127.0.0.1:{port}/", b"x" * 8_000_000) == 413


async def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failure(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert (error.code, str(error)) == ("ECONNREFUSED", "the connection was refused")


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (b"", "ECONNRESET", "it closed the connection without an answer"),
        (b"SSH-2.0-x\r\n", "HPE_INVALID_CONSTANT", "its answer is not HTTP/1"),
    ],
)
async def test_no_response_has_a_reason(answer: bytes, code: str, text: str) -> None:
    async with server(answering(answer, [])) as port:
        error = await failure(f"http://127.0.0.1:{port}/")
    assert (error.code, str(error)[: len(text)]) == (code, text)


async def test_a_server_that_does_not_respond_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_delivery, "_SECONDS", 0.05)

    async def silent(stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with server(silent) as port:
        error = await failure(f"http://127.0.0.1:{port}/")
    assert (error.code, str(error)) == ("ETIMEDOUT", "no answer within 0.05s")


async def test_a_url_that_fits_into_no_request_is_a_failure_and_no_defect() -> None:
    async with server(answering(b"", [])) as port:
        assert (await failure(f"http://127.0.0.1:{port}/\u20ac")).code == "ERR_INVALID_URL"


async def test_tls_is_verified_with_the_systems_authorities(tmp_path: Path) -> None:
    leaf = Authority(load_ca(*ensure_ca(tmp_path))).leaf("localhost")
    pem = tmp_path / "leaf.pem"
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(key + leaf.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def serve(stream: SocketStream) -> None:
        with pytest.raises((ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream)):
            await TLSStream.wrap(stream, server_side=True, ssl_context=context)

    async with server(serve) as port:
        error = await failure(f"https://localhost:{port}/")
    assert error.code == "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
    assert str(error) == "the authority of its certificate is not known"


async def test_a_delivery_is_recognized_where_it_comes_in(stage: Any) -> None:
    """Only while it lasts: another client may have its port later."""
    dialer = new_dialer()
    webhooks = Webhooks(dialer)
    found: list[bool] = []
    exchange = stage.exchange()

    async def serve(stream: SocketStream) -> None:
        await read_request(stream)
        exchange.client.ip, exchange.client.port = stream.extra(SocketAttribute.remote_address)[:2]
        exchange.client.local_ip, exchange.client.local_port = stream.extra(SocketAttribute.local_address)[:2]
        found.append(webhooks.is_own(exchange))
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert not webhooks.is_own(exchange)
    async with server(serve) as port:
        assert await post(dialer, f"http://127.0.0.1:{port}/", b"{}") == 200
    assert (found, webhooks.is_own(exchange)) == ([True], False)
