"""`tls-client-error`: every cause, by a client that really behaves so."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from waiting import until_recorded

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
RULES = "version: 1\nserver: {timeouts: {handshake: 200ms}}\nrules:\n  - then: {reply: {body: hello}}\n"
PATIENT = RULES.replace("200ms", "20s")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture
def start(recorder: Start, tmp_path: Path) -> Start:
    """The recorder with an authority of the test's own."""

    def run(rules: str = PATIENT, *options: str | Path, **more: Any) -> Any:
        return recorder(rules, *options, env={"MOCKREC_CA_DIR": str(tmp_path / "ca")}, **more)

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Its certificate, which is there as soon as the recorder is ready."""
    return tmp_path / "ca" / "ca.pem"


def direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def tunnel(port: int, target: str, *headers: str) -> socket.socket:
    sock = direct(port)
    sock.sendall("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target.strip()}", *headers, "", ""]).encode())
    assert sock.recv(65536) == b"HTTP/1.1 200 OK\r\n\r\n"
    return sock


def trusting(ca: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.minimum_version = context.maximum_version = version
    return context


def distrusting(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without any roots
    context.minimum_version = context.maximum_version = version
    return context


def hello(name: str = "half.test") -> bytes:
    """The first flight of a client."""
    out = ssl.MemoryBIO()
    client = distrusting().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def reset(sock: socket.socket) -> None:
    """RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def failures(run: Any, count: int) -> list[Record]:
    until_recorded(run, "tls-client-error", count)
    found: list[Record] = run.stop().by_type("tls-client-error")
    assert len(found) == count
    return found


def check_times(record: Record, *, handshake: bool, in_tunnel: bool = False) -> None:
    """Milestones in their order, and no others."""
    times = record["timingEvents"]
    assert ("handshakeTimestamp" in times) is handshake
    assert ("tunnelTimestamp" in times) is in_tunnel
    names = ("connectTimestamp", "tunnelTimestamp", "handshakeTimestamp", "failureTimestamp")
    told = [times[name] for name in names if name in times]
    assert told == sorted(told)
    assert abs(times["startTime"] / 1000 - time.time()) < 60
    assert set(times) == {"startTime", *(name for name in names if name in times)}


# ── the causes ─────────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_does_not_trust_us(start: Start) -> None:
    run = start()
    for version in VERSIONS:
        with direct(run.port) as sock, pytest.raises(ssl.SSLCertVerificationError):
            distrusting(version).wrap_socket(sock, server_hostname="localhost")
    for record in failures(run, 2):
        assert record["failureCause"] == "cert-rejected"
        assert record["remoteIpAddress"] == "127.0.0.1"
        assert record["remotePort"] > 0
        assert record["tags"] == []
        assert "destination" not in record
        assert record["tlsMetadata"]["sniHostname"] == "localhost"
        assert len(record["tlsMetadata"]["ja3Fingerprint"]) == 32
        assert len(record["tlsMetadata"]["ja4Fingerprint"]) == 36
        check_times(record, handshake=False)


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_does_not_trust_us(start: Start, version: str) -> None:
    run = start()
    argv = ("openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", version, "-verify_return_error")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert failures(run, 1)[0]["failureCause"] == "cert-rejected"


def test_curl_does_not_trust_us(start: Start) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    run = start()
    argv = ("curl", "-sS", "-x", run.url, "https://example.test/")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 60, done.stderr
    (record,) = failures(run, 1)
    assert record["failureCause"] == "cert-rejected"
    assert record["destination"] == {"hostname": "example.test", "port": 443}
    check_times(record, handshake=False, in_tunnel=True)


def test_no_cipher_in_common(start: Start, ca: Path) -> None:
    run = start()
    context = trusting(ca, ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # our certificate is ECDSA
    with direct(run.port) as sock, pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
        context.wrap_socket(sock, server_hostname="localhost")
    (record,) = failures(run, 1)
    assert record["failureCause"] == "no-shared-cipher"
    check_times(record, handshake=False)


def test_no_version_in_common_and_garbage(start: Start, ca: Path) -> None:
    run = start(f"{PATIENT}tls: {{minVersion: TLSv1.3}}\n")
    with direct(run.port) as sock, pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        trusting(ca, ssl.TLSVersion.TLSv1_2).wrap_socket(sock, server_hostname="localhost")
    with direct(run.port) as sock:
        sock.sendall(b"\x16\x03\x01\x00\x04junk")
        assert sock.recv(65536)[:1] == b"\x15", "an alert"
    wrong, garbage = failures(run, 2)
    assert (wrong["failureCause"], garbage["failureCause"]) == ("unknown", "unknown")
    assert wrong["tlsMetadata"]["sniHostname"] == "localhost"
    assert "tlsMetadata" not in garbage


@pytest.mark.parametrize("part", ["one byte", "half", "whole"])
def test_a_client_that_stops_in_the_middle(start: Start, part: str) -> None:
    run = start(RULES)
    data = hello()
    began = time.monotonic()
    with direct(run.port) as sock:
        sock.sendall({"one byte": data[:1], "half": data[: len(data) // 2], "whole": data}[part])
        while sock.recv(65536):
            pass  # the server's flight, if it got so far, and then the end
    assert time.monotonic() - began >= 0.2
    (record,) = failures(run, 1)
    assert record["failureCause"] == "handshake-timeout"
    assert ("tlsMetadata" in record) is (part == "whole")
    check_times(record, handshake=False)
    times = record["timingEvents"]
    assert times["failureTimestamp"] - times["connectTimestamp"] >= 200


def test_reset_and_end_in_the_handshake(start: Start) -> None:
    run = start()
    data = hello()
    for flight in (data[:20], data):
        sock = direct(run.port)
        sock.sendall(flight)
        if flight is data:
            assert sock.recv(1)
        reset(sock)
        until_recorded(run, "tls-client-error", 1 if flight is not data else 2)
    with direct(run.port) as sock:
        sock.sendall(data)
        assert sock.recv(1)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    found = failures(run, 3)
    assert [record["failureCause"] for record in found] == ["reset", "reset", "closed"]
    for record in found:
        check_times(record, handshake=False)


@pytest.mark.parametrize("way", ["close_notify", "FIN", "RST"])
def test_a_client_that_leaves_right_after_the_handshake(start: Start, ca: Path, way: str) -> None:
    run = start()
    for version in VERSIONS:
        sock = trusting(ca, version).wrap_socket(direct(run.port), server_hostname="localhost")
        if way == "close_notify":
            try:
                sock.unwrap().close()
            except OSError:
                sock.close()
        elif way == "RST":
            reset(sock)
        else:
            sock.close()
    for record in failures(run, 2):
        assert record["failureCause"] == "closed"
        assert set(record["tlsMetadata"]) == {"sniHostname", "ja3Fingerprint", "ja4Fingerprint"}
        check_times(record, handshake=True)


def test_a_client_that_leaves_later_or_after_a_request_has_nothing_against_us(start: Start, ca: Path) -> None:
    run = start()
    for version in VERSIONS:
        with trusting(ca, version).wrap_socket(direct(run.port), server_hostname="localhost") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(65536).endswith(b"hello")
    began = time.monotonic()
    late = trusting(ca).wrap_socket(direct(run.port), server_hostname="localhost")

    def get() -> None:
        with trusting(ca).wrap_socket(direct(run.port), server_hostname="localhost") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(65536).endswith(b"hello")

    get()  # it is answered after the recorder has finished the handshake before it
    over = time.monotonic()
    until_recorded(run, "response", 3)
    while time.monotonic() < over + max(0.2, 12 * (over - began)):  # later than the window, which is no event
        time.sleep(0.05)
    late.close()
    get()  # a later client is accepted behind it, so that its end has been seen
    session = run.stop()
    assert session.by_type("tls-client-error") == []
    assert session.by_type("client-error") == []


def test_a_client_that_has_nothing_to_say(start: Start, ca: Path) -> None:
    """That its time for a request is over says nothing of the certificate."""
    run = start("version: 1\nserver: {timeouts: {head: 60ms}}\nrules: []\n")
    with trusting(ca).wrap_socket(direct(run.port), server_hostname="localhost") as sock:
        assert sock.recv(1) == b""
    assert run.stop().by_type("tls-client-error") == []


# ── Node ───────────────────────────────────────────────────────────────────────────────────────────

NODE = """
const socket = require("tls").connect({port: PORT, host: "127.0.0.1", servername: "n.test", ca: [],
  minVersion: "VERSION", maxVersion: "VERSION", rejectUnauthorized: true});
socket.on("error", (error) => { console.log(JSON.stringify(error.code)); });
"""


@needs_node
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_node_rejects_the_certificate(start: Start, version: str) -> None:
    """Node looks at certificates after its handshake, and sends no alert. Under TLS 1.3 it closes before its own
    last flight has left, so that for us the handshake has not ended."""
    run = start()
    script = NODE.replace("PORT", str(run.port)).replace("VERSION", version)
    env = {name: value for name, value in os.environ.items() if name != "NODE_EXTRA_CA_CERTS"}
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False, timeout=60, env=env)
    assert json.loads(done.stdout) in ("SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")
    (record,) = failures(run, 1)
    assert record["failureCause"] in (("closed",) if version == "TLSv1.2" else ("closed", "reset"))
    check_times(record, handshake=version == "TLSv1.2")


# ── in tunnels ─────────────────────────────────────────────────────────────────────────────────────


def refused_in(sock: socket.socket) -> None:
    with sock, pytest.raises(ssl.SSLCertVerificationError):
        distrusting().wrap_socket(sock, server_hostname="sni.test")


def test_destination_and_tags_in_tunnels(start: Start, ca: Path) -> None:
    run = start()
    tagged = "Proxy-Authorization: Basic bWV0YWRhdGE6eyJ0YWdzIjpbImEiXX0="  # metadata:{"tags":["a"]}
    refused_in(tunnel(run.port, "named.test:8443", tagged))
    refused_in(tunnel(run.port, "192.0.2.1:443", tagged))
    refused_in(tunnel(run.port, "portless.test"))
    sock = tunnel(run.port, "left.test:443", tagged)
    trusting(ca).wrap_socket(sock, server_hostname="left.test").close()
    found = failures(run, 4)
    assert [record["failureCause"] for record in found] == [*["cert-rejected"] * 3, "closed"]
    assert [record["destination"] for record in found] == [
        {"hostname": "named.test", "port": 8443},
        {"hostname": "192.0.2.1", "port": 443},
        {"hostname": "portless.test", "port": 443},
        {"hostname": "left.test", "port": 443},
    ]
    tags = ["socket-metadata:a"]
    assert [record["tags"] for record in found] == [tags, tags, [], tags], "also where the handshake has not ended"
    for record in found:
        check_times(record, handshake=record["failureCause"] == "closed", in_tunnel=True)


def test_tls_in_a_tunnel_in_tls(start: Start, ca: Path) -> None:
    """The inner handshake fails; the outer one was good, and is not the one that is told of."""
    run = start()
    with trusting(ca).wrap_socket(direct(run.port), server_hostname="outer.test") as outer:
        outer.sendall(b"CONNECT inner.test:443 HTTP/1.1\r\nHost: inner.test:443\r\n\r\n")
        assert outer.recv(65536) == b"HTTP/1.1 200 OK\r\n\r\n"
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = distrusting().wrap_bio(into, out, server_hostname="inner.test")
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(inner, into, out, outer)
        outer.sendall(out.read())  # the alert
        assert outer.recv(65536) == b""
    (record,) = failures(run, 1)
    assert record["failureCause"] == "cert-rejected"
    assert record["destination"] == {"hostname": "inner.test", "port": 443}
    assert record["tlsMetadata"]["sniHostname"] == "inner.test"
    check_times(record, handshake=False, in_tunnel=True)


def shake_hands(inner: ssl.SSLObject, into: ssl.MemoryBIO, out: ssl.MemoryBIO, outer: socket.socket) -> None:
    while True:
        try:
            inner.do_handshake()
        except ssl.SSLWantReadError:
            outer.sendall(out.read())
            into.write(outer.recv(65536))
        else:
            return


def test_a_stop_in_the_middle_of_a_handshake_is_nobodys_fault(start: Start) -> None:
    run = start()
    with direct(run.port) as sock:
        sock.sendall(hello())
        assert sock.recv(1), "the server's flight has begun"
        session = run.stop()
    assert session.by_type("tls-client-error") == []


def test_nothing_is_told_where_it_is_not_wanted(start: Start) -> None:
    wanted: Sequence[str] = ("request", "response")
    run = start(f"{PATIENT}record: {{events: [{', '.join(wanted)}]}}\n")
    with direct(run.port) as sock, pytest.raises(ssl.SSLCertVerificationError):
        distrusting().wrap_socket(sock, server_hostname="localhost")
    assert run.stop().by_type("tls-client-error") == []
