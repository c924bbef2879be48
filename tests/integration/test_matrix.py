"""Every way through the recorder: clients and servers of both versions of HTTP, bodies, trailers, WebSockets, tunnels.

What was said is what is heard at the other end, and what is in the log.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import h2.config
import h2.connection
import h2.events
import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]
Pairs = list[tuple[str, str]]

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

SECONDS = 20.0
RULES = """\
version: 1
upstream: {trustedCAs: [ca.pem]}
tls: {passthrough: [untouched.test]}
unmatched: passthrough
"""
BODY = bytes(range(256)) * 1200
TEXT = "grüße".encode()


# ── clients ────────────────────────────────────────────────────────────────────────────────────────


class Line(Protocol):
    """Bytes both ways: of a socket, of a tunnel, inside TLS."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """The next; nothing at the end."""


class Reply:
    """What a client has heard."""

    def __init__(self, status: int, fields: Pairs, body: bytes, trailers: Pairs) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.trailers = trailers

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.fields if given.lower() == name]


class Socket:
    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bytes:
        return self.sock.recv(65536)


class Secure:
    """TLS on any line."""

    def __init__(self, line: Line, context: ssl.SSLContext, name: str, protocol: str) -> None:
        context.set_alpn_protocols([protocol])
        self.line = line
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.inward, self.outward, server_hostname=name)
        self._until(self.tls.do_handshake)
        assert self.tls.selected_alpn_protocol() == protocol

    def _until(self, call: Callable[[], Any]) -> Any:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self.line.send(self.outward.read())
                data = self.line.receive()
                if not data:
                    return b""
                self.inward.write(data)
            else:
                self.line.send(self.outward.read())
                return result

    def send(self, data: bytes) -> None:
        if data:
            self.tls.write(data)
            self.line.send(self.outward.read())

    def receive(self) -> bytes:
        data: bytes = self._until(lambda: self.tls.read(65536))
        return data


class Buffered:
    """A line that is read by need."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.line.send(data)

    def receive(self) -> bytes:
        data, self.buffer = self.buffer, b""
        return data or self.line.receive()

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.line.receive()
            assert data, "the line has ended"
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            data = self.line.receive()
            assert data, f"the line has ended behind {self.buffer!r}"
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(mark)
        return head


class Http1:
    """A client of HTTP/1.1; to a proxy it says whole URLs."""

    version = "1.1"
    protocol = "http/1.1"

    def __init__(self, line: Line, scheme: str = "") -> None:
        """`scheme`: of the URLs that are said; none for a server."""
        self.line = Buffered(line)
        self.scheme = scheme

    def ask(self, authority: str, fields: Pairs, body: bytes, trailers: Pairs) -> Reply:
        url = f"{self.scheme}://{authority}/a?b" if self.scheme else "/a?b"
        head = f"POST {url} HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields)
        end = "".join(f"{name}: {value}\r\n" for name, value in trailers)
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
        self.line.send(f"{head}\r\n".encode() + chunk + f"0\r\n{end}\r\n".encode())
        status, answered = self.head()
        told = {name.lower(): value for name, value in answered}
        if "transfer-encoding" not in told:
            return Reply(status, answered, self.line.exactly(int(told["content-length"])), [])
        pieces = []
        while size := int(self.line.until(b"\r\n"), 16):
            pieces.append(self.line.exactly(size))
            assert self.line.exactly(2) == b"\r\n"
        ending = []
        while line := self.line.until(b"\r\n"):
            name, _, value = line.decode().partition(": ")
            ending.append((name, value))
        return Reply(status, answered, b"".join(pieces), ending)

    def head(self) -> tuple[int, Pairs]:
        first, *lines = self.line.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return int(first.split()[1]), [(line.partition(": ")[0], line.partition(": ")[2]) for line in lines]

    def tunnel(self, authority: str) -> Line:
        self.line.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert self.head()[0] == 200
        return self.line

    def websocket(self, authority: str) -> Buffered:
        url = f"{self.scheme}://{authority}/ws" if self.scheme else "/ws"
        self.line.send(
            f"GET {url} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        status, fields = self.head()
        assert (status, dict(fields)["Sec-WebSocket-Accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        return self.line


class Http2:
    """A client of HTTP/2."""

    version = "2.0"
    protocol = "h2"

    def __init__(self, line: Line, scheme: str = "https") -> None:
        self.line = line
        self.scheme = scheme
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.conn.initiate_connection()
        self.heads: dict[int, Pairs] = {}
        self.bodies: dict[int, bytes] = {}
        self.trailers: dict[int, Pairs] = {}
        self.ended: set[int] = set()
        self.flush()

    def flush(self) -> None:
        self.line.send(self.conn.data_to_send())

    def move(self) -> bool:
        """Take what comes next; False at the end."""
        data = self.line.receive()
        for event in self.conn.receive_data(data) if data else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[event.stream_id] = event.headers  # type: ignore[assignment]
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[event.stream_id] = event.headers  # type: ignore[assignment]
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                self.ended.add(event.stream_id)
        self.flush()
        return bool(data)

    def begin(self, method: str, authority: str, fields: Pairs) -> int:
        number: int = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, [(":method", method), (":authority", authority), *fields])
        self.flush()
        return number

    def send(self, number: int, data: bytes) -> None:
        while data:
            room = min(self.conn.local_flow_control_window(number), self.conn.max_outbound_frame_size, len(data))
            if room:
                self.conn.send_data(number, data[:room])
                self.flush()
                data = data[room:]
            else:
                assert self.move(), "the connection has ended"

    def ask(self, authority: str, fields: Pairs, body: bytes, trailers: Pairs) -> Reply:
        pseudo = [(":scheme", self.scheme), (":path", "/a?b"), ("te", "trailers")]
        number = self.begin("POST", authority, [*pseudo, *((name.lower(), value) for name, value in fields)])
        self.send(number, body)
        if trailers:
            self.conn.send_headers(number, [(name.lower(), value) for name, value in trailers], end_stream=True)
        else:
            self.conn.end_stream(number)
        self.flush()
        while number not in self.ended:
            assert self.move(), "the connection has ended"
        (_, status), *answered = self.heads[number]
        return Reply(int(status), answered, self.bodies.get(number, b""), list(self.trailers.get(number, [])))

    def tunnel(self, authority: str) -> Line:
        number = self.begin("CONNECT", authority, [])
        self.until_head(number)
        return Inside(self, number)

    def websocket(self, authority: str) -> Buffered:
        while not self.conn.remote_settings.enable_connect_protocol:
            assert self.move()
        fields = [
            (":protocol", "websocket"),
            (":scheme", self.scheme),
            (":path", "/ws"),
            ("sec-websocket-version", "13"),
        ]
        number = self.begin("CONNECT", authority, fields)
        self.until_head(number)
        return Buffered(Inside(self, number))

    def until_head(self, number: int) -> None:
        while number not in self.heads:
            assert self.move(), "the connection has ended"
        assert self.heads[number][0] == (":status", "200")


class Inside:
    """The inside of a stream."""

    def __init__(self, client: Http2, number: int) -> None:
        self.client = client
        self.number = number

    def send(self, data: bytes) -> None:
        self.client.send(self.number, data)

    def receive(self) -> bytes:
        bodies = self.client.bodies
        while not bodies.get(self.number) and self.number not in self.client.ended:
            if not self.client.move():
                break
        return bodies.pop(self.number, b"")


CLIENTS: dict[str, Any] = {"h1": Http1, "h2": Http2}


# ── servers ────────────────────────────────────────────────────────────────────────────────────────

NODE = """\
import http2 from 'node:http2'; import fs from 'node:fs';
const [key, cert] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = http2.createSecureServer({key, cert, settings: {enableConnectProtocol: true}});
const echo = (stream) => {
    let data = Buffer.alloc(0);
    stream.respond({':status': 200});
    stream.on('data', (piece) => {
        data = Buffer.concat([data, piece]);
        while (data.length > 1 && data.length >= 6 + (data[1] & 127)) {
            const size = data[1] & 127, mask = data.subarray(2, 6), said = Buffer.from(data.subarray(6, 6 + size));
            said.forEach((byte, at) => said[at] = byte ^ mask[at % 4]);
            stream.write(Buffer.concat([Buffer.from([data[0], size]), said]));
            if (data[0] == 0x88) stream.end();
            data = data.subarray(6 + size);
        }
    });
};
server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers[':protocol'] == 'websocket') return echo(stream);
    const pieces = []; let told = {};
    stream.on('trailers', (trailers) => told = trailers);
    stream.on('data', (piece) => pieces.push(piece)).on('end', () => {
        const body = Buffer.concat(pieces);
        const seen = [headers[':method'], headers[':path'], headers['x-b'], headers['host'] || headers[':authority']].join(' ');
        stream.respond({':status': 201, 'x-seen': seen, 'x-a': ['1', '2'], 'set-cookie': ['c=1', 'd=2']}, {waitForTrailers: true});
        stream.on('wantTrailers', () => stream.sendTrailers({'x-sum': String(body.length), 'x-up': told['x-up'] || 'none'}));
        stream.end(body);
    });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def serve_http1(connection: Any) -> None:
    """What the other one does, in HTTP/1.1."""
    while (asked := connection.request()) is not None:
        if "upgrade" in asked.headers:
            connection.send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: " + accept(asked.headers["sec-websocket-key"]) + b"\r\n\r\n"
            )
            while True:
                first, size = connection.exactly(2)
                mask = connection.exactly(4)
                said = connection.exactly(size & 127)
                said = bytes(byte ^ mask[at % 4] for at, byte in enumerate(said))
                connection.send(bytes((first, len(said))) + said)
                if first == 0x88:
                    return
        trailers = dict(line.split(": ") for line in asked.trailers.decode().lower().splitlines())
        seen = " ".join(value for name, value in asked.fields if name.lower() == "x-b").replace(" ", ", ")
        head = f"HTTP/1.1 201 Created\r\nX-Seen: {asked.method} {asked.target} {seen} {asked.headers['host']}\r\n"
        head += "X-A: 1\r\nX-A: 2\r\nSet-Cookie: c=1\r\nSet-Cookie: d=2\r\nTransfer-Encoding: chunked\r\n\r\n"
        end = f"x-sum: {len(asked.body)}\r\nx-up: {trailers.get('x-up', 'none')}\r\n"
        size = f"{len(asked.body):x}\r\n".encode()
        body = size + asked.body + b"\r\n" if asked.body else b""
        connection.send(head.encode() + body + f"0\r\n{end}\r\n".encode())


def accept(key: str) -> bytes:
    from base64 import b64encode
    from hashlib import sha1

    return b64encode(sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())


@pytest.fixture
def server(request: pytest.FixtureRequest, upstream: Make, pki: Any) -> Callable[..., int]:
    """`server("h1")`: its port."""

    def start(kind: str, *, tls: bool = True) -> int:
        if kind == "h2":
            port: int = request.getfixturevalue("node_server")(NODE, "localhost", "untouched.test")
            return port
        context = pki.server("localhost", "untouched.test") if tls else None
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        port = upstream(serve=serve_http1, tls=context).port
        return port

    return start


@pytest.fixture
def start(recorder: Start, pki: Any, tmp_path: Path) -> Start:
    """A recorder that passes on, with the tests' authority."""
    (tmp_path / "ca.pem").write_bytes(pki.ca.read_bytes())
    return lambda: recorder(RULES, *pki.options)


@pytest.fixture
def line_to() -> Iterator[Callable[[int], Socket]]:
    """`line_to(port)`: a connection."""
    made: list[Socket] = []

    def connect(port: int) -> Socket:
        made.append(Socket(port))
        return made[-1]

    yield connect
    for one in made:
        one.sock.close()


# ── what is said and heard ─────────────────────────────────────────────────────────────────────────


def converse(client: Any, authority: str, body: bytes, trailers: Pairs) -> None:
    reply = client.ask(authority, [("X-B", "1"), ("X-B", "2")], body, trailers)
    assert reply.status == 201
    assert reply.all("x-seen") == [f"POST /a?b 1, 2 {authority}"]
    assert reply.all("x-a") == ["1", "2"]
    assert reply.all("set-cookie") == ["c=1", "d=2"]
    assert reply.body == body
    assert sorted(reply.trailers) == [("x-sum", str(len(body))), ("x-up", trailers[0][1] if trailers else "none")]


def logged(session: Any, client: str, server: str, body: bytes, trailers: Pairs, authority: str) -> None:
    request, response = session.one("request"), session.one("response")
    assert request["httpVersion"] == CLIENTS[client].version
    assert request["url"] == f"https://{authority}/a?b"
    assert [pair[1] for pair in request["rawHeaders"] if pair[0].lower() == "x-b"] == ["1", "2"]
    assert request["body"]["size"] == response["body"]["size"] == len(body)
    lower = [[name.lower(), value] for name, value in request.get("rawTrailers", [])]
    assert lower == [[name.lower(), value] for name, value in trailers]
    assert response["statusCode"] == 201
    assert response["statusMessage"] == ("" if client == "h2" else "Created")
    assert [pair[1] for pair in response["rawHeaders"] if pair[0].lower() == "x-a"] == ["1", "2"]
    assert ["x-sum", str(len(body))] in response["rawTrailers"]
    told = dict(session.told())
    assert told["passthrough-response-head"]["httpVersion"] == CLIENTS[server].version
    assert told["passthrough-request-head"]["rawHeaders"][0][0].startswith(":") is (server == "h2")


BOTH = pytest.mark.parametrize(("client", "to"), [("h1", "h1"), ("h1", "h2"), ("h2", "h1"), ("h2", "h2")])


@BOTH
@pytest.mark.parametrize("trailers", [[], [("X-Up", "9")]])
@pytest.mark.parametrize("body", [b"", b"some", BODY])
def test_bodies_and_trailers(
    start: Start, server: Make, line_to: Make, client: str, to: str, body: bytes, trailers: Pairs
) -> None:
    port, run = server(to), start()
    authority = f"localhost:{port}"
    converse(CLIENTS[client](line_to(run.port), "https"), authority, body, trailers)
    logged(run.stop(), client, to, body, trailers, authority)


def say(first: int, data: bytes) -> bytes:
    mask = os.urandom(4)
    return bytes((first, 0x80 | len(data))) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


@BOTH
@pytest.mark.parametrize("way", ["proxy", "tunnel"])
def test_websockets(start: Start, server: Make, line_to: Make, pki: Any, client: str, to: str, way: str) -> None:
    port, run = server(to), start()
    authority = f"localhost:{port}"
    talk = CLIENTS[client](line_to(run.port), "https")
    if way == "tunnel":
        kind = CLIENTS[client]
        talk = kind(Secure(talk.tunnel(authority), pki.trusting, "localhost", kind.protocol))
    line = talk.websocket(authority)
    for text in (TEXT, b"again"):
        line.send(say(0x81, text))
        assert line.exactly(2 + len(text)) == bytes((0x81, len(text))) + text
    line.send(say(0x88, struct.pack("!H", 1000)))
    assert line.exactly(4) == b"\x88\x02\x03\xe8"
    session = run.stop()
    assert session.one("websocket-request")["httpVersion"] == CLIENTS[client].version
    as_said = "https" if (client, way) == ("h1", "proxy") else "wss"  # whole URLs are left as they are
    assert session.one("websocket-request")["url"] == f"{as_said}://{authority}/ws"
    for kind_of in ("received", "sent"):
        messages = session.by_type(f"websocket-message-{kind_of}")
        assert [record["content"]["text"] for record in messages] == [TEXT.decode(), "again"]
    assert session.one("websocket-close")["closeCode"] == 1000
    connect = dict(session.told())["passthrough-websocket-connect"]
    names = [name.lower() for name, _ in connect["rawHeaders"]]
    assert (":protocol" in names) is (to == "h2")
    assert ("sec-websocket-key" in names) is (to == "h1")


@BOTH
def test_connect_with_bytes_that_nobody_reads(
    start: Start, server: Make, line_to: Make, pki: Any, client: str, to: str
) -> None:
    port, run = server(to), start()
    authority = f"untouched.test:{port}"
    talk = CLIENTS[client](line_to(run.port), "http")
    tunnel = talk.tunnel(f"localhost:{port}")
    inner = CLIENTS[to]
    converse(inner(Secure(tunnel, pki.trusting, "untouched.test", inner.protocol)), authority, BODY, [("X-Up", "9")])
    session = run.stop()
    opened = session.one("tls-passthrough-opened")
    assert opened["destination"] == {"hostname": "localhost", "port": port}
    assert opened["tlsMetadata"]["sniHostname"] == "untouched.test"
    assert session.one("tls-passthrough-closed")["bytesReceived"] > len(BODY)
    assert session.by_type("request") == []


@pytest.mark.parametrize("client", ["h1", "h2"])
def test_connect_without_tls(start: Start, server: Make, line_to: Make, client: str) -> None:
    port, run = server("h1", tls=False), start()
    authority = f"localhost:{port}"
    kind = CLIENTS[client]
    talk = kind(line_to(run.port), "http")
    inner = Http1(talk.tunnel(authority)) if client == "h1" else Http2(talk.tunnel(authority), "http")
    converse(inner, authority, BODY, [("X-Up", "9")])
    request = run.stop().one("request")
    assert (request["httpVersion"], request["url"]) == (kind.version, f"http://{authority}/a?b")


@BOTH
@pytest.mark.parametrize("outer", ["h1", "h2"])
def test_connect_and_tls(start: Start, server: Make, line_to: Make, pki: Any, outer: str, client: str, to: str) -> None:
    port, run = server(to), start()
    authority = f"localhost:{port}"
    kind = CLIENTS[client]
    tunnel = CLIENTS[outer](line_to(run.port), "http").tunnel(authority)
    converse(kind(Secure(tunnel, pki.trusting, "localhost", kind.protocol)), authority, BODY, [("X-Up", "9")])
    logged(run.stop(), client, to, BODY, [("X-Up", "9")], authority)
