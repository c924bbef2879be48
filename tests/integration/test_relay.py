"""Connections that are passed on unread: TLS to names that are left alone, and protocols that we do not speak."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import until, until_recorded

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
MIB = 1024 * 1024
ANSWER = "version: 1\nrules:\n  - then: {reply: {body: intercepted}}\n"
RAW = "version: 1\nserver: {socks: true, passthrough: [unknown-protocol]}\nrules: []\n"
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"

Behave = Callable[[socket.socket], None]


@pytest.fixture
def start(recorder: Start, tmp_path: Path) -> Start:
    """The recorder with an authority of the test's own."""

    def run(rules: str, *options: str | Path, **more: Any) -> Any:
        return recorder(rules, *options, env={"MOCKREC_CA_DIR": str(tmp_path / "ca")}, **more)

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Its certificate, which is there as soon as the recorder is ready."""
    return tmp_path / "ca" / "ca.pem"


class Server:
    """Listens on loopback and does the same with every connection."""

    def __init__(self, behave: Behave, context: ssl.SSLContext | None = None) -> None:
        self._behave = behave
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(sock,)))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        with suppress(OSError), sock:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            self.accepted.append(sock)
            with sock:
                self._behave(sock)

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self.accepted:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(behave, context=None)`: a server that runs until the test ends."""
    servers: list[Server] = []

    def begin(behave: Behave, context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behave, context))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def greet(sock: socket.socket) -> None:
    """Reads a line and says who it is."""
    while not sock.recv(65536).endswith(b"\n"):
        pass
    sock.sendall(b"server itself\n")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a server for localhost, 127.0.0.1 and two names; certificate, which is its own authority, and key."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the server's certificate, is not installed")
    path = tmp_path / "server.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:my.bank.test,DNS:free.test"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", names, "-keyout", f"{path}.key", "-out", path),
        ],
        check=True,
        capture_output=True,
    )
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    return context


def direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def tunnel(port: int, target: str, *headers: str) -> socket.socket:
    sock = direct(port)
    sock.sendall("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode())
    assert sock.recv(65536) == ESTABLISHED
    return sock


def said(sock: socket.socket, trusted: Path, name: str | None) -> str:
    """Speak TLS with whoever shows a certificate of this authority, and ask who it is."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = name is not None
    with sock, context.wrap_socket(sock, server_hostname=name) as wrapped:
        wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return wrapped.recv(65536).decode().strip()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def check_order(session: Any, kind: str, tunnels: int) -> list[list[Record]]:
    """opened, data*, closed: each tunnel's records."""
    found = []
    for opened in session.by_type(f"{kind}-opened"):
        records = session.of(opened["id"])
        kinds = [record["type"] for record in records]
        assert kinds[0] == f"{kind}-opened"
        assert kinds[-1] == f"{kind}-closed"
        assert set(kinds[1:-1]) <= {"raw-passthrough-data"}
        assert len({record["connectionId"] for record in records}) == 1
        found.append(records)
    assert len(found) == tunnels
    return found


# ── TLS that is left alone ─────────────────────────────────────────────────────────────────────────


def test_names_that_are_passed_on(start: Start, ca: Path, serve: Callable[..., Server], certificate: Path) -> None:
    server = serve(greet, server_context(certificate))
    run = start(f'{ANSWER}tls: {{passthrough: ["*.bank.test", LOCALHOST]}}\n')
    address = f"127.0.0.1:{server.port}"
    tagged = "Proxy-Authorization: Basic bWV0YWRhdGE6eyJ0YWdzIjpbImEiXX0="  # metadata:{"tags":["a"]}
    assert said(tunnel(run.port, address, tagged), certificate, "my.bank.test") == "server itself", "SNI"
    assert said(tunnel(run.port, f"localhost:{server.port}"), certificate, "localhost") == "server itself", "both"
    assert said(tunnel(run.port, f"localhost:{server.port}"), certificate, None) == "server itself", "the tunnel"
    assert said(tunnel(run.port, f"localhost:{server.port}"), certificate, "free.test") == "server itself", "the tunnel"
    assert "intercepted" in said(tunnel(run.port, address), ca, "free.test")
    assert "intercepted" in said(tunnel(run.port, address), ca, "bank.test"), "the pattern wants something before it"
    assert "intercepted" in said(tunnel(run.port, address), ca, "localhost.evil.test"), "the whole name has to match"
    assert "intercepted" in said(direct(run.port), ca, "free.test")
    assert "intercepted" in said(direct(run.port), ca, None), "without any name"
    session = run.stop()
    tunnels = check_order(session, "tls-passthrough", 4)
    assert [opened["destination"] for opened, _ in tunnels] == [
        {"hostname": "127.0.0.1", "port": server.port},
        {"hostname": "localhost", "port": server.port},
        {"hostname": "localhost", "port": server.port},
        {"hostname": "localhost", "port": server.port},
    ], "always where the tunnel leads"
    names = [opened["tlsMetadata"].get("sniHostname") for opened, _ in tunnels]
    assert names == ["my.bank.test", "localhost", None, "free.test"]
    for opened, closed in tunnels:
        assert set(opened["tlsMetadata"]) >= {"ja3Fingerprint", "ja4Fingerprint"}
        assert {"version", "cipher"}.isdisjoint(opened["tlsMetadata"]), "nobody has looked at more than the hello"
        assert closed["destination"] == opened["destination"]
        assert closed["tlsMetadata"] == opened["tlsMetadata"]
        assert opened["remoteIpAddress"] == "127.0.0.1"
        times = closed["timingEvents"]
        assert times["connectTimestamp"] <= times["tunnelTimestamp"] <= times["disconnectTimestamp"]
        assert "disconnectTimestamp" not in opened["timingEvents"]
        assert "handshakeTimestamp" not in times
    assert tunnels[0][0]["tags"] == tunnels[0][1]["tags"] == ["socket-metadata:a"]
    assert [closed["tags"] for _, closed in tunnels[1:]] == [[], [], []]
    assert len(session.by_type("request")) == 5
    assert session.by_type("tls-client-error") == []


def test_only_these_names_are_intercepted(
    start: Start, ca: Path, serve: Callable[..., Server], certificate: Path
) -> None:
    server = serve(greet, server_context(certificate))
    run = start(f'{ANSWER}tls: {{interceptOnly: ["*.bank.test", "localhost"]}}\n')
    address, name = f"127.0.0.1:{server.port}", f"localhost:{server.port}"
    assert "intercepted" in said(tunnel(run.port, address), ca, "my.bank.test")
    assert "intercepted" in said(tunnel(run.port, name), ca, "localhost")
    assert "intercepted" in said(tunnel(run.port, name), ca, None)
    assert "intercepted" in said(direct(run.port), ca, "my.bank.test")
    assert "intercepted" in said(direct(run.port), ca, None), "without any name"
    assert said(tunnel(run.port, address), certificate, "free.test") == "server itself"
    assert said(tunnel(run.port, name), certificate, "free.test") == "server itself", "both have to be listed"
    assert said(tunnel(run.port, address), certificate, None) == "server itself"
    session = run.stop()
    tunnels = check_order(session, "tls-passthrough", 3)
    assert [opened["destination"]["hostname"] for opened, _ in tunnels] == ["127.0.0.1", "localhost", "127.0.0.1"]
    assert len(session.by_type("request")) == 5


def test_both_lists_are_an_error(program: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text(f"{ANSWER}tls: {{passthrough: [a.test], interceptOnly: [b.test]}}\n")
    done = program("run", "both.yaml", "--port", "0", "-o", "none", env={"MOCKREC_CA_DIR": str(tmp_path / "ca")})
    assert done.returncode == 2
    assert "passthrough" in done.stderr
    assert "interceptOnly" in done.stderr


def test_bytes_are_counted(start: Start, serve: Callable[..., Server], certificate: Path) -> None:
    """What is counted is what is on the wire: the client's count of its own TLS bytes is the same."""
    server = serve(echo, server_context(certificate))
    run = start(f"{ANSWER}tls: {{passthrough: [localhost]}}\n")
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(certificate))
    client = context.wrap_bio(into, out, server_hostname="localhost")
    payload = bytes(range(256)) * 4096  # 1 MiB
    counts = {"to": 0, "from": 0}
    with tunnel(run.port, f"localhost:{server.port}") as sock:

        def send() -> None:
            data = out.read()
            counts["to"] += len(data)
            sock.sendall(data)

        def receive() -> None:
            data = sock.recv(65536)
            assert data
            counts["from"] += len(data)
            into.write(data)

        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                send()
                receive()
        got = bytearray()
        for at in range(0, len(payload), 65536):
            client.write(payload[at : at + 65536])
            send()
            while len(got) < at + 65536:
                try:
                    got += client.read(65536)
                except ssl.SSLWantReadError:
                    receive()
        assert got == payload
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            counts["from"] += len(data)
    _, closed = check_order(run.stop(), "tls-passthrough", 1)[0]
    assert closed["bytesReceived"] == counts["to"]
    assert closed["bytesSent"] == counts["from"]
    assert closed["bytesReceived"] > MIB


def test_a_server_that_is_not_there(start: Start, certificate: Path) -> None:
    run = start(f"{ANSWER}tls: {{passthrough: [localhost, nowhere.invalid]}}\n")
    context = ssl.create_default_context(cafile=str(certificate))
    for target in (f"localhost:{unused_port()}", "nowhere.invalid:443"):
        with tunnel(run.port, target) as sock, pytest.raises(ConnectionResetError):
            context.wrap_socket(sock, server_hostname=target.partition(":")[0])
    refused, unknown = (closed for _, closed in check_order(run.stop(), "tls-passthrough", 2))
    assert refused["tags"] == ["tls-passthrough-error:ECONNREFUSED"]
    assert unknown["tags"][0] in ("tls-passthrough-error:ENOTFOUND", "tls-passthrough-error:EAI_AGAIN")
    assert (refused["bytesReceived"], refused["bytesSent"]) == (0, 0)


def test_it_does_not_go_round_in_circles(start: Start, certificate: Path) -> None:
    run = start(f"{ANSWER}tls: {{passthrough: [localhost, a.test]}}\n")
    context = ssl.create_default_context(cafile=str(certificate))
    with tunnel(run.port, f"localhost:{run.port}") as sock, pytest.raises(ConnectionResetError):
        context.wrap_socket(sock, server_hostname="localhost")
    with tunnel(run.port, f"127.0.0.1:{run.port}") as sock, pytest.raises(ConnectionResetError):
        context.wrap_socket(sock, server_hostname="a.test")
    session = run.stop()
    for _, closed in check_order(session, "tls-passthrough", 2):
        assert closed["tags"] == ["tls-passthrough-error:ERR_PASSTHROUGH_LOOP"]


def test_its_own_proxy(start: Start, certificate: Path) -> None:
    port = unused_port()
    rules = f"version: 1\ntls: {{passthrough: [a.test]}}\nupstream: {{proxy: 'http://127.0.0.1:{port}'}}\nrules: []\n"
    run = start(rules, "--port", str(port))
    context = ssl.create_default_context(cafile=str(certificate))
    with tunnel(port, "a.test:443") as sock, pytest.raises(ConnectionResetError):
        context.wrap_socket(sock, server_hostname="a.test")
    closed = run.stop().one("tls-passthrough-closed")
    assert closed["tags"] == ["tls-passthrough-error:ERR_PASSTHROUGH_LOOP"]


# ── how tunnels end ────────────────────────────────────────────────────────────────────────────────


def test_each_direction_ends_by_itself(start: Start, serve: Callable[..., Server]) -> None:
    def count(sock: socket.socket) -> None:
        """Answers when everything has come."""
        total = 0
        while data := sock.recv(65536):
            total += len(data)
        sock.sendall(b"%d" % total)

    server = serve(count)
    run = start(RAW)
    with tunnel(run.port, f"127.0.0.1:{server.port}") as sock:
        sock.sendall(b"\x00" * MIB)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(65536) == b"%d" % MIB
        assert sock.recv(65536) == b""
    closed = check_order(run.stop(), "raw-passthrough", 1)[0][-1]
    assert (closed["bytesReceived"], closed["bytesSent"], closed["tags"]) == (MIB, 7, [])


def test_one_side_resets(start: Start, serve: Callable[..., Server]) -> None:
    ended: list[str] = []

    def reset_at_once(sock: socket.socket) -> None:
        sock.recv(1)
        reset(sock)

    def wait_for_end(sock: socket.socket) -> None:
        try:
            echo(sock)
        except ConnectionResetError:
            ended.append("reset")
        else:
            ended.append("end")

    run = start(RAW)
    with tunnel(run.port, f"127.0.0.1:{serve(reset_at_once).port}") as sock:
        sock.sendall(b"\x00\x01")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    sock = tunnel(run.port, f"127.0.0.1:{serve(wait_for_end).port}")
    sock.sendall(b"\x00\x01")
    assert sock.recv(65536) == b"\x00\x01"
    reset(sock)
    until_recorded(run, "raw-passthrough-closed", 2)
    for *_, closed in check_order(run.stop(), "raw-passthrough", 2):
        assert closed["tags"] == ["raw-passthrough-error:ECONNRESET"]
    until(lambda: bool(ended))
    assert ended == ["reset"]


def test_a_client_that_reads_nothing_holds_the_server_up(start: Start, serve: Callable[..., Server]) -> None:
    """The recorder does not take what it cannot give away."""
    sent = [0]

    def pour(sock: socket.socket) -> None:
        sock.recv(1)
        while True:
            sock.sendall(bytes(65536))
            sent[0] += 65536

    server = serve(pour)
    run = start(f"{RAW}record: {{events: [raw-passthrough-closed]}}\n", "--grace", "100ms")
    with tunnel(run.port, f"127.0.0.1:{server.port}") as sock:
        sock.sendall(b"\x00")
        seen = -1
        deadline = time.monotonic() + SECONDS
        while sent[0] != seen or not seen:  # until nothing more goes in for a while
            assert time.monotonic() < deadline
            seen = sent[0]
            time.sleep(0.3)
        assert seen < 64 * MIB
        closed = run.stop().one("raw-passthrough-closed")
    assert closed["bytesSent"] <= sent[0] + 65536


def test_tunnels_that_are_open_at_the_end(start: Start, serve: Callable[..., Server], certificate: Path) -> None:
    secure, plain = serve(echo, server_context(certificate)), serve(echo)
    run = start(f"{RAW}tls: {{passthrough: [localhost]}}\n", "--grace", "200ms")
    context = ssl.create_default_context(cafile=str(certificate))
    raw = tunnel(run.port, f"127.0.0.1:{plain.port}")
    sock = tunnel(run.port, f"localhost:{secure.port}")
    with raw, context.wrap_socket(sock, server_hostname="localhost") as wrapped:
        wrapped.sendall(b"one")
        assert wrapped.recv(3) == b"one"
        raw.sendall(b"\x00two")
        assert raw.recv(4) == b"\x00two"
        began = time.monotonic()
        session = run.stop()
        assert time.monotonic() - began < SECONDS
        with suppress(ConnectionResetError):
            assert raw.recv(1) == b""
    check_order(session, "tls-passthrough", 1)
    check_order(session, "raw-passthrough", 1)
    assert session.records[-1]["type"] == "session-ended"
    assert session.one("raw-passthrough-closed")["bytesReceived"] == 4
    assert session.code == 0


# ── other protocols ────────────────────────────────────────────────────────────────────────────────


def through_socks(port: int, target: int) -> socket.socket:
    sock = direct(port)
    sock.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.to_bytes(2))
    data = b""
    while len(data) < 12:
        data += sock.recv(12 - len(data))
    return sock


@pytest.mark.parametrize("keeps", [False, True])
def test_an_echo_protocol(start: Start, serve: Callable[..., Server], keeps: bool) -> None:
    server = serve(echo)
    run = start(f"{RAW}record: {{rawData: true}}\n" if keeps else RAW)
    for sock in (tunnel(run.port, f"127.0.0.1:{server.port}"), through_socks(run.port, server.port)):
        with sock:
            for piece in (b"HELO text\n", b"\x00\xff\xfe"):
                sock.sendall(piece)
                assert sock.recv(65536) == piece
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    for opened, *data, closed in check_order(run.stop(), "raw-passthrough", 2):
        assert opened["destination"] == closed["destination"] == {"hostname": "127.0.0.1", "port": server.port}
        assert "tlsMetadata" not in opened
        assert opened["timingEvents"]["tunnelTimestamp"] >= opened["timingEvents"]["connectTimestamp"]
        assert (closed["bytesReceived"], closed["bytesSent"], closed["tags"]) == (13, 13, [])
        assert [piece["direction"] for piece in data] == ["received", "sent"] * 2
        times = [piece["eventTimestamp"] for piece in data]
        assert times == sorted(times)
        contents = [piece["content"] for piece in data]
        if keeps:
            text, binary = {"size": 10, "text": "HELO text\n"}, {"size": 3, "base64": "AP/+"}
            assert contents == [text, text, binary, binary]
        else:
            text, binary = {"size": 10, "truncated": True, "text": ""}, {"size": 3, "truncated": True, "text": ""}
            assert contents == [text, text, binary, binary]


def test_first_bytes_in_the_packet_of_the_connect(start: Start, serve: Callable[..., Server]) -> None:
    server = serve(echo)
    run = start(f"{RAW}record: {{rawData: true}}\n")
    with direct(run.port) as sock:
        sock.sendall(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + b"\x01early")
        data = b""
        while not data.endswith(b"\x01early"):
            data += sock.recv(65536)
        assert data == ESTABLISHED + b"\x01early"
    session = run.stop()
    assert session.one("raw-passthrough-closed")["bytesReceived"] == 6


def test_much_data_both_ways(start: Start, serve: Callable[..., Server]) -> None:
    server = serve(echo)
    run = start(f"{RAW}record: {{rawData: true}}\n")
    payload = b"\x00" + bytes(range(256)) * 8192 * 2
    got = bytearray()
    with tunnel(run.port, f"127.0.0.1:{server.port}") as sock:

        def read() -> None:
            while data := sock.recv(65536):
                got.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)
        reader.join(SECONDS)
    assert got == payload
    session = run.stop()
    _, *data, closed = check_order(session, "raw-passthrough", 1)[0]
    assert closed["bytesReceived"] == closed["bytesSent"] == len(payload)
    for direction in ("received", "sent"):
        kept = b"".join(session.content(piece["content"]) for piece in data if piece["direction"] == direction)
        assert kept == payload


def test_under_tls_that_ends_here(start: Start, ca: Path, serve: Callable[..., Server], certificate: Path) -> None:
    """TLS is made anew towards the server, with the client's name and protocols."""
    context = server_context(certificate)
    context.set_alpn_protocols(["mine/1", "http/1.1"])
    agreed: list[str | None] = []
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, context: names.append(name)

    def behave(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        agreed.append(sock.selected_alpn_protocol())
        echo(sock)

    server = serve(behave, context)
    run = start(f"{RAW}upstream: {{trustedCAs: [{certificate}]}}\nrecord: {{rawData: true}}\n")
    client = ssl.create_default_context(cafile=str(ca))
    client.set_alpn_protocols(["mine/1"])
    sock = tunnel(run.port, f"127.0.0.1:{server.port}")
    with client.wrap_socket(sock, server_hostname="free.test") as wrapped:
        wrapped.sendall(b"\x00secret")
        assert wrapped.recv(65536) == b"\x00secret"
        wrapped.unwrap()
    session = run.stop()
    opened, *data, closed = check_order(session, "raw-passthrough", 1)[0]
    assert names == ["free.test"]
    assert agreed == ["mine/1"]
    assert opened["destination"] == {"hostname": "127.0.0.1", "port": server.port}
    assert [piece["content"]["text"] for piece in data] == ["\x00secret", "\x00secret"]
    assert closed["tags"] == []
    assert "handshakeTimestamp" in opened["timingEvents"]


def test_under_tls_towards_a_server_that_is_not_trusted(
    start: Start, ca: Path, serve: Callable[..., Server], certificate: Path
) -> None:
    server = serve(echo, server_context(certificate))
    run = start(RAW)
    client = ssl.create_default_context(cafile=str(ca))
    sock = tunnel(run.port, f"127.0.0.1:{server.port}")
    with client.wrap_socket(sock, server_hostname="free.test", suppress_ragged_eofs=False) as wrapped:
        wrapped.sendall(b"\x00secret")
        with pytest.raises(OSError):
            wrapped.recv(1)
    closed = check_order(run.stop(), "raw-passthrough", 1)[0][-1]
    assert closed["tags"] == ["raw-passthrough-error:DEPTH_ZERO_SELF_SIGNED_CERT"]


def test_a_server_that_refuses(start: Start) -> None:
    run = start(RAW)
    with tunnel(run.port, f"127.0.0.1:{unused_port()}") as sock:
        sock.sendall(b"\x00")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    closed = check_order(run.stop(), "raw-passthrough", 1)[0][-1]
    assert closed["tags"] == ["raw-passthrough-error:ECONNREFUSED"]


def test_without_a_destination(start: Start, ca: Path) -> None:
    run = start(RAW)
    codes = []
    with direct(run.port) as sock:
        sock.sendall(b"\x00what is this")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        codes.append("UNKNOWN_PROTOCOL_NO_DESTINATION")
    client = ssl.create_default_context(cafile=str(ca))
    with client.wrap_socket(direct(run.port), server_hostname="localhost") as wrapped:
        wrapped.sendall(b"\x00what is this")
        assert wrapped.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        codes.append("UNKNOWN_PROTOCOL_NO_DESTINATION")
    with tunnel(run.port, "portless.test") as sock:
        sock.sendall(b"\x00what is this")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        codes.append("UNKNOWN_PROTOCOL_NO_DESTINATION_PORT")
    session = run.stop()
    errors = session.by_type("client-error")
    assert [error["errorCode"] for error in errors] == codes
    assert {error["response"]["statusCode"] for error in errors} == {400}
    assert session.by_type("raw-passthrough-opened") == []


def test_http_is_still_http(start: Start, ca: Path) -> None:
    run = start("version: 1\nserver: {passthrough: [unknown-protocol]}\nrules:\n  - then: {reply: {body: hello}}\n")
    client = ssl.create_default_context(cafile=str(ca))
    with tunnel(run.port, "a.test:443") as sock, client.wrap_socket(sock, server_hostname="a.test") as wrapped:
        for at, method in enumerate((b"GET", b"POST", b"PROPFIND", b"OPTIONS")):
            wrapped.sendall(method + b" /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % at)
            assert wrapped.recv(65536).endswith(b"hello")
    session = run.stop()
    assert len(session.by_type("response")) == 4
    assert session.by_type("raw-passthrough-opened") == []
