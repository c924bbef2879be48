"""SOCKS 4, 4a and 5 on the recorder's own port: curl and clients that speak it byte by byte."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from waiting import until_recorded

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
ANSWER = "rules:\n  - then: {reply: {body: hello}}\n"
OFF = f"version: 1\n{ANSWER}"
ON = f"{OFF}server: {{socks: true}}\n"
METADATA = f"{OFF}server: {{socks: {{auth: [user-password-metadata]}}}}\n"

ACCEPTED5 = b"\x05\x00\x00\x01" + bytes(6)
ACCEPTED4 = b"\x00\x5a" + bytes(6)
REFUSED4 = b"\x00\x5b" + bytes(6)


@pytest.fixture
def start(recorder: Start, tmp_path: Path) -> Start:
    """The recorder with an authority of the test's own."""

    def run(rules: str = ON, *options: str | Path, **more: Any) -> Any:
        return recorder(rules, *options, env={"MOCKREC_CA_DIR": str(tmp_path / "ca")}, **more)

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Its certificate, which is there as soon as the recorder is ready."""
    return tmp_path / "ca" / "ca.pem"


def direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, data
        data += piece
    return data


def rest(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def address5(host: str, port: int) -> bytes:
    """ATYP, DST.ADDR, DST.PORT."""
    try:
        address = ip_address(host)
    except ValueError:
        encoded = host.encode()
        return bytes((3, len(encoded))) + encoded + port.to_bytes(2)
    return bytes((1 if address.version == 4 else 4,)) + address.packed + port.to_bytes(2)


def request5(host: str, port: int, command: int = 1) -> bytes:
    return bytes((5, command, 0)) + address5(host, port)


def request4(host: str, port: int, command: int = 1, user: bytes = b"") -> bytes:
    """SOCKS 4 for addresses, 4a for names."""
    head = bytes((4, command)) + port.to_bytes(2)
    try:
        return head + ip_address(host).packed + user + b"\0"
    except ValueError:
        return head + b"\0\0\0\1" + user + b"\0" + host.encode() + b"\0"


def enter5(port: int, host: str, target_port: int) -> socket.socket:
    sock = direct(port)
    sock.sendall(b"\x05\x01\x00")
    assert exactly(sock, 2) == b"\x05\x00"
    sock.sendall(request5(host, target_port))
    assert exactly(sock, 10) == ACCEPTED5
    return sock


def login(user: bytes, password: bytes) -> bytes:
    """RFC 1929."""
    return bytes((1, len(user))) + user + bytes((len(password),)) + password


def ask(sock: Any, host: str = "h.test") -> bytes:
    sock.sendall(f"GET /path HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return bytes(sock.recv(65536)).partition(b"\r\n\r\n")[2]


def where(record: Record) -> tuple[str, str, int]:
    return record["url"], record["destination"]["hostname"], record["destination"]["port"]


def curl(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


# ── curl ───────────────────────────────────────────────────────────────────────────────────────────


@needs_curl
@pytest.mark.parametrize("kind", ["--socks4", "--socks4a", "--socks5", "--socks5-hostname"])
def test_curl(start: Start, ca: Path, kind: str) -> None:
    run = start()
    proxy = (kind, f"127.0.0.1:{run.port}", "--cacert", ca)
    assert curl("-4", *proxy, "http://localhost:81/plain", "https://localhost:444/secure") == "hellohello"
    plain, secure = run.stop().by_type("request")
    # Without the a or -hostname, curl resolves names itself, and only Host has them.
    name = "localhost" if kind in ("--socks4a", "--socks5-hostname") else "127.0.0.1"
    assert where(plain) == ("http://localhost:81/plain", name, 81)
    assert where(secure) == ("https://localhost:444/secure", name, 444)
    assert secure["tlsMetadata"]["sniHostname"] == "localhost"
    assert plain["connectionId"] != secure["connectionId"]


@needs_curl
def test_curl_with_a_password(start: Start, ca: Path) -> None:
    run = start(f"{OFF}server: {{socks: true, auth: 'ada:s3cret'}}\n")
    proxy = ("--cacert", ca, "--socks5-hostname", f"127.0.0.1:{run.port}")
    assert curl(*proxy, "--proxy-user", "ada:s3cret", "https://a.test/", "http://b.test/") == "hellohello"
    curl(*proxy, "--proxy-user", "ada:wrong", "https://c.test/", code=97)
    curl(*proxy, "https://d.test/", code=97)
    curl("--socks4a", f"127.0.0.1:{run.port}", "http://e.test/", code=97)
    session = run.stop()
    assert [record["url"] for record in session.by_type("request")] == ["https://a.test/", "http://b.test/"]
    errors = session.by_type("client-error")
    codes = [error["errorCode"] for error in errors]
    assert codes == ["SOCKS_AUTH_FAILED", "SOCKS_NO_ACCEPTABLE_METHOD", "SOCKS_NO_ACCEPTABLE_METHOD"]
    assert all(error["aborted"] for error in errors)
    assert "wrong" not in str(errors)


# ── byte by byte ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slowly", [False, True])
def test_every_kind_of_address(start: Start, slowly: bool) -> None:
    """All at once, the first request included; or in single bytes."""
    run = start()
    request = b"GET /path HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n"
    greeting = b"\x05\x02\x02\x00"
    five = b"\x05\x00" + ACCEPTED5
    cases = [
        (greeting + request5("name.test", 80), five, ("http://name.test/path", "name.test", 80)),
        (greeting + request5("192.0.2.1", 81), five, ("http://h.test:81/path", "192.0.2.1", 81)),
        (greeting + request5("2001:db8:0:0::1", 82), five, ("http://h.test:82/path", "2001:db8::1", 82)),
        (greeting + request5("name.test", 0), five, ("http://name.test/path", "name.test", 80)),
        (request4("192.0.2.1", 83), ACCEPTED4, ("http://h.test:83/path", "192.0.2.1", 83)),
        (request4("192.0.2.1", 83, user=b"somebody"), ACCEPTED4, ("http://h.test:83/path", "192.0.2.1", 83)),
        (request4("name.test", 84), ACCEPTED4, ("http://name.test:84/path", "name.test", 84)),
    ]
    for data, reply, _ in cases:
        with direct(run.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data += request
            for at in range(0, len(data), 1 if slowly else len(data)):
                sock.sendall(data[at : at + (1 if slowly else len(data))])
            said = rest(sock)
        assert said.startswith(reply + b"HTTP/1.1 200 OK\r\n")
        assert said.endswith(b"hello")
    session = run.stop()
    assert [where(record) for record in session.by_type("request")] == [expected for _, _, expected in cases]
    assert session.by_type("client-error") == []


def test_https_inside(start: Start, ca: Path) -> None:
    run = start()
    context = ssl.create_default_context(cafile=str(ca))
    with context.wrap_socket(enter5(run.port, "a.test", 443), server_hostname="a.test") as sock:
        assert ask(sock) == b"hello"
    with context.wrap_socket(enter5(run.port, "2001:db8::1", 443), server_hostname="2001:db8::1") as sock:
        assert ask(sock, "[2001:db8::1]") == b"hello"
    name, address = run.stop().by_type("request")
    assert where(name) == ("https://a.test/path", "a.test", 443)
    assert where(address) == ("https://[2001:db8::1]/path", "2001:db8::1", 443)


def test_tunnels_in_each_other(start: Start) -> None:
    """SOCKS 5 in SOCKS 4 in CONNECT."""
    run = start()
    with direct(run.port) as sock:
        sock.sendall(b"CONNECT one.test:1080 HTTP/1.1\r\nHost: one.test:1080\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 200 OK\r\n\r\n"
        sock.sendall(request4("two.test", 1080))
        assert exactly(sock, 8) == ACCEPTED4
        sock.sendall(b"\x05\x01\x00" + request5("three.test", 8080))
        assert exactly(sock, 12) == b"\x05\x00" + ACCEPTED5
        assert ask(sock) == b"hello"
    assert where(run.stop().one("request")) == ("http://three.test:8080/path", "three.test", 8080)


def test_over_ipv6(start: Start) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("there is no IPv6 on this machine")
    run = start(ON, "--host", "::1")
    assert run.url == f"http://[::1]:{run.port}"
    with socket.create_connection(("::1", run.port), SECONDS) as sock:
        sock.sendall(b"\x05\x01\x00" + request5("a.test", 80))
        assert exactly(sock, 12) == b"\x05\x00" + ACCEPTED5
        assert ask(sock) == b"hello"
    request = run.stop().one("request")
    assert request["remoteIpAddress"] == "::1"


# ── metadata ───────────────────────────────────────────────────────────────────────────────────────


def test_metadata_of_the_client(start: Start, ca: Path) -> None:
    run = start(METADATA)
    for password in (b'{"tags": ["one"]}', b"eyJ0YWdzIjpbIm9uZSJdfQ"):
        with direct(run.port) as sock:
            sock.sendall(b"\x05\x02\x00\x02")
            assert exactly(sock, 2) == b"\x05\x02", "no other way is open here"
            sock.sendall(login(b"metadata", password))
            assert exactly(sock, 2) == b"\x01\x00"
            sock.sendall(request5("a.test", 443))
            assert exactly(sock, 10) == ACCEPTED5
            context = ssl.create_default_context(cafile=str(ca))
            with context.wrap_socket(sock, server_hostname="a.test") as wrapped:
                assert ask(wrapped) == b"hello"
    with direct(run.port) as sock:
        sock.sendall(b"\x05\x01\x02" + login(b"metadata", b'{"tags": ["one"]}') + request5("a.test", 443))
        assert exactly(sock, 14) == b"\x05\x02\x01\x00" + ACCEPTED5
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(sock, server_hostname="a.test")
    until_recorded(run, "tls-client-error")
    session = run.stop()
    records = [record for record in session.records if "connectionId" in record]
    assert len(records) == 7
    assert all(record["tags"] == ["socket-metadata:one"] for record in records)
    assert session.one("tls-client-error")["destination"] == {"hostname": "a.test", "port": 443}


def test_where_metadata_are_wanted_nothing_else_will_do(start: Start) -> None:
    run = start(METADATA)
    cases = [
        (b"\x05\x01\x00", b"\x05\xff", "SOCKS_NO_ACCEPTABLE_METHOD"),
        (request4("192.0.2.1", 80), REFUSED4, "SOCKS_NO_ACCEPTABLE_METHOD"),
        (b"\x05\x01\x02" + login(b"somebody", b"{}"), b"\x05\x02\x01\x01", "SOCKS_AUTH_FAILED"),
        (b"\x05\x01\x02" + login(b"metadata", b"{"), b"\x05\x02\x01\x02", "SOCKS_INVALID_METADATA"),
    ]
    check_refused(run, cases)


def check_refused(run: Any, cases: list[tuple[bytes, bytes, str]]) -> None:
    """What is sent, what comes back, and what the log calls it."""
    for data, reply, code in cases:
        with direct(run.port) as sock:
            sock.sendall(data)
            assert rest(sock) == reply, code
    session = run.stop()
    errors = session.by_type("client-error")
    assert [error["errorCode"] for error in errors] == [code for _, _, code in cases]
    assert all(error["aborted"] and "response" not in error for error in errors)
    assert all(f"client-error:{error['errorCode']}" in error["request"]["tags"] for error in errors)
    assert session.by_type("request") == []


# ── what is refused ────────────────────────────────────────────────────────────────────────────────


def test_refused_commands_and_addresses(start: Start) -> None:
    hello = b"\x05\x01\x00"
    failed = [b"\x05\x00\x05" + bytes((code,)) + b"\x00\x01" + bytes(6) for code in range(9)]
    check_refused(
        start(),
        [
            (hello + request5("a.test", 80, command=2), failed[7], "SOCKS_UNSUPPORTED_COMMAND"),  # BIND
            (hello + request5("a.test", 80, command=3), failed[7], "SOCKS_UNSUPPORTED_COMMAND"),  # UDP ASSOCIATE
            (hello + b"\x05\x01\x00\x07\x00", failed[8], "SOCKS_UNSUPPORTED_ADDRESS_TYPE"),
            (hello + request5("a b", 80), failed[1], "SOCKS_INVALID_HOST"),
            (hello + b"\x04\x01\x00\x01\x00\x00", failed[1], "SOCKS_INVALID_VERSION"),
            (request4("192.0.2.1", 80, command=2), REFUSED4, "SOCKS_UNSUPPORTED_COMMAND"),
            (b"\x05\x01\x80", b"\x05\xff", "SOCKS_NO_ACCEPTABLE_METHOD"),
        ],
    )


def test_a_client_that_stops_in_the_middle(start: Start) -> None:
    run = start(f"{OFF}server: {{socks: true, timeouts: {{head: 200ms}}}}\n")
    for leaves in (True, False):
        with direct(run.port) as sock:
            sock.sendall(b"\x05\x01\x00\x05\x01")
            if leaves:
                sock.shutdown(socket.SHUT_WR)
            assert rest(sock) == b"\x05\x00"
    session = run.stop()
    assert [error["errorCode"] for error in session.by_type("client-error")] == [
        "SOCKS_INVALID_EOF_STATE",
        "SOCKS_TIMEOUT",
    ]


@pytest.mark.parametrize("data", [b"\x05\x01\x00", request4("192.0.2.1", 80)])
def test_it_is_off_by_default(start: Start, data: bytes) -> None:
    run = start(OFF)
    with direct(run.port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock).startswith(b"HTTP/1.1 400 ")
    error = run.stop().one("client-error")
    assert error["response"]["statusCode"] == 400


def test_the_option_is_stronger_than_the_rule_file(start: Start) -> None:
    run = start(OFF, "--socks")
    with enter5(run.port, "a.test", 80) as sock:
        assert ask(sock) == b"hello"
    run.stop()
    run = start(ON, "--no-socks", out="second.jsonl")
    with direct(run.port) as sock:
        sock.sendall(b"\x05\x01\x00")
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock).startswith(b"HTTP/1.1 400 ")
    run.stop()
