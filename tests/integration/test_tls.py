"""HTTPS to the recorder, directly and through tunnels: real clients, their certificates, and what the log says."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tls_client import Tls

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
MIB = 1024 * 1024
RULES = "version: 1\nrules:\n  - then: {reply: {body: hello}}\n"
GET = b"GET /path HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@pytest.fixture
def start(recorder: Start, tmp_path: Path) -> Start:
    """The recorder with an authority of the test's own."""

    def run(rules: str = RULES, *options: str | Path, **more: Any) -> Any:
        return recorder(rules, *options, env={"MOCKREC_CA_DIR": str(tmp_path / "ca"), **more.pop("env", {})}, **more)

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Its certificate, which is there as soon as the recorder is ready."""
    return tmp_path / "ca" / "ca.pem"


def run_client(*argv: str | Path, data: bytes = b"", code: int | None = 0) -> str:
    done = subprocess.run(argv, input=data, capture_output=True, check=False, timeout=60)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert code is None or done.returncode == code, said
    return said


def curl(*arguments: str | Path) -> str:
    return run_client("curl", "-sS", *arguments)


def s_client(port: int, *arguments: str | Path, data: bytes = GET % b"localhost") -> str:
    """`openssl s_client` that asks for something and waits for the answer."""
    return run_client(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *arguments, data=data, code=None
    )


def tunnel(port: int, target: str, *headers: str) -> socket.socket:
    """A CONNECT that is accepted."""
    sock = socket.create_connection(("127.0.0.1", port), SECONDS)
    sock.sendall("\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode())
    assert sock.recv(65536) == b"HTTP/1.1 200 OK\r\n\r\n"
    return sock


@contextmanager
def secured(sock: socket.socket, ca: Path, name: str | None, alpn: list[str] | None = None) -> Iterator[ssl.SSLSocket]:
    """TLS that verifies the certificate, and the name if there is one."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = name is not None
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    with sock, context.wrap_socket(sock, server_hostname=name) as wrapped:
        yield wrapped


def direct(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def get(sock: ssl.SSLSocket, host: str) -> bytes:
    sock.sendall(GET % host.encode())
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data.partition(b"\r\n\r\n")[2]


def certificate(sock: ssl.SSLSocket) -> x509.Certificate:
    shown = sock.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def names(sock: ssl.SSLSocket) -> list[str]:
    """What the certificate is for."""
    san = certificate(sock).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in san]


def where(record: Record) -> tuple[str, str, str, int]:
    destination = record["destination"]
    return record["protocol"], record["url"], destination["hostname"], destination["port"]


class Dripping:
    """Sends single bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.recv = sock.recv

    def sendall(self, data: bytes) -> None:
        for at in range(len(data)):
            self._sock.send(data[at : at + 1])


class TlsServer:
    """An HTTPS server with a certificate of its own, which is its own authority."""

    def __init__(self, folder: Path) -> None:
        self.cert, key = folder / "server.pem", folder / "server.key"
        run_client(
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", key, "-out", self.cert),
        )

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "8")
                self.end_headers()
                self.wfile.write(b"upstream")

            def log_message(self, *arguments: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[TlsServer]:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the server's certificate, is not installed")
    server = TlsServer(tmp_path)
    yield server
    server.stop()


# ── clients ────────────────────────────────────────────────────────────────────────────────────────


@needs_curl
def test_curl_directly_and_through_connect(start: Start, ca: Path) -> None:
    run = start()
    trusted = ("--cacert", ca)
    assert curl(*trusted, f"https://localhost:{run.port}/a?x=1", f"https://localhost:{run.port}/b") == "hellohello"
    assert curl(*trusted, "-x", run.url, "https://example.test/c") == "hello"
    assert curl(*trusted, "-x", run.url, "https://example.test:8443/d") == "hello"
    assert curl(*trusted, "-x", run.url, "https://192.0.2.7/e") == "hello"
    assert curl(*trusted, "-x", run.url, "-H", "Host: other.test:9", "https://example.test:8443/f") == "hello"
    assert curl(*trusted, "-x", run.url, "-H", "Host: other.test:9", "https://192.0.2.7:8443/g") == "hello"
    session = run.stop()
    found = session.by_type("request")
    assert [where(record) for record in found] == [
        ("https", f"https://localhost:{run.port}/a?x=1", "localhost", run.port),
        ("https", f"https://localhost:{run.port}/b", "localhost", run.port),
        ("https", "https://example.test/c", "example.test", 443),
        ("https", "https://example.test:8443/d", "example.test", 8443),
        ("https", "https://192.0.2.7/e", "192.0.2.7", 443),
        ("https", "https://example.test:8443/f", "example.test", 8443),
        ("https", "https://other.test:8443/g", "192.0.2.7", 8443),
    ]
    assert found[0]["connectionId"] == found[1]["connectionId"]
    assert [record["tlsMetadata"].get("sniHostname") for record in found[1:5]] == [
        "localhost",
        "example.test",
        "example.test",
        None,
    ]
    assert [record["url"] for record in session.by_type("response")] == [record["url"] for record in found]
    assert session.by_type("tls-client-error") == []
    assert session.by_type("client-error") == []


def test_http_client_and_requests(start: Start, ca: Path) -> None:
    run = start()
    context = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("localhost", run.port, context=context, timeout=SECONDS)
    for path in ("/one", "/two"):
        connection.request("GET", path)
        assert connection.getresponse().read() == b"hello"
    connection.close()
    connection = http.client.HTTPSConnection("127.0.0.1", run.port, context=context, timeout=SECONDS)
    connection.set_tunnel("api.example.test", 8443)
    connection.request("GET", "/three")
    assert connection.getresponse().read() == b"hello"
    connection.close()
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": run.url, "http": run.url}
        session.verify = str(ca)
        for number in range(3):
            assert session.get(f"https://r.example.test/{number}", timeout=SECONDS).text == "hello"
    log = run.stop()
    assert [record["url"] for record in log.by_type("response")] == [
        f"https://localhost:{run.port}/one",
        f"https://localhost:{run.port}/two",
        "https://api.example.test:8443/three",
        "https://r.example.test/0",
        "https://r.example.test/1",
        "https://r.example.test/2",
    ]
    assert len({record["connectionId"] for record in log.by_type("request")}) == 3


@needs_openssl
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_openssl_and_resumed_sessions(start: Start, ca: Path, tmp_path: Path, version: str) -> None:
    run = start()
    kept = tmp_path / "session.pem"
    common = (f"-tls{version}", "-CAfile", ca, "-verify_return_error", "-servername", "a.test")
    first = s_client(run.port, *common, "-sess_out", kept)
    assert "New, TLSv1" in first
    assert "hello" in first
    second = s_client(run.port, *common, "-sess_in", kept)
    assert "Reused, TLSv1" in second
    assert "hello" in second
    found = run.stop().by_type("request")
    name = f"TLSv{version.replace('_', '.')}"
    assert [record["tlsMetadata"]["version"] for record in found] == [name, name]
    assert all(record["tlsMetadata"]["cipher"] for record in found)


@needs_openssl
@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_that_asks_for_short_records_gets_all_of_a_response(start: Start, version: str) -> None:
    """RFC 6066, 4: clients with little memory ask for records of 512 bytes."""
    body = "".join(f"{number:07}," for number in range(1000))
    run = start(f"version: 1\nrules: [{{then: {{reply: {{body: '{body}'}}}}}}]\n")
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert body in s_client(run.port, version, "-maxfraglen", "512", "-quiet", data=last)


def test_openssl_reconnects(start: Start, ca: Path) -> None:
    run = start()
    said = run_client(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", "-tls1_2", "-reconnect", "-CAfile", ca)
    )
    assert said.count("Reused, TLSv1.2") == 5
    session = run.stop()
    assert {record["failureCause"] for record in session.by_type("tls-client-error")} == {"closed"}, "it never asked"


def test_large_bodies_both_ways(start: Start, ca: Path, tmp_path: Path) -> None:
    sent, answer = bytes(range(256)) * 4096 * 5, bytes(reversed(range(256))) * 4096 * 5
    (tmp_path / "large").write_bytes(answer)
    run = start("version: 1\nrecord: {maxBodySize: 20MiB}\nrules:\n  - then: [waitForBody, {reply: {file: large}}]\n")
    context = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("localhost", run.port, context=context, timeout=SECONDS)
    connection.request("POST", "/", body=sent)
    assert connection.getresponse().read() == answer
    connection.close()
    session = run.stop()
    assert session.one("request")["body"]["size"] == len(sent)
    assert session.one("response")["body"]["size"] == len(answer)


def test_pieces_of_records_and_many_requests_in_one(start: Start, ca: Path) -> None:
    """TLS in single bytes below, and pipelined requests above."""
    run = start()
    with direct(run.port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Tls(Dripping(sock), ca, "localhost")
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(20)))
        received = b""
        while received.count(b"hello") < 20:
            received += client.recv(65536)
    session = run.stop()
    expected = [f"https://localhost/{number}" for number in range(20)]
    assert [record["url"] for record in session.by_type("response")] == expected


# ── ALPN ───────────────────────────────────────────────────────────────────────────────────────────


def test_alpn(start: Start, ca: Path) -> None:
    run = start(f"{RULES}server: {{http2: false}}\n")
    agreed = {
        ("http/1.1",): "http/1.1",
        ("h2", "http/1.1"): "http/1.1",
        ("foo",): "foo",
        ("foo", "bar"): "foo",
        ("h2", "foo"): "foo",
        ("foo", "http/1.1"): "http/1.1",
    }
    for offered, expected in agreed.items():
        with secured(direct(run.port), ca, "localhost", list(offered)) as sock:
            assert sock.selected_alpn_protocol() == expected
            assert get(sock, "localhost") == b"hello"
    requests = run.stop().by_type("request")
    assert [record["tlsMetadata"]["clientAlpn"] for record in requests] == [list(offered) for offered in agreed]
    assert {record["httpVersion"] for record in requests} == {"1.1"}


def test_only_http2_is_refused_with_its_alert(start: Start, ca: Path) -> None:
    run = start(f"{RULES}server: {{http2: false}}\n")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(ca))
        context.maximum_version = context.minimum_version = version
        context.set_alpn_protocols(["h2"])
        with direct(run.port) as sock, pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            context.wrap_socket(sock, server_hostname="localhost")
    failed = run.stop().by_type("tls-client-error")
    assert [record["failureCause"] for record in failed] == ["unknown", "unknown"]
    assert [record["tlsMetadata"]["clientAlpn"] for record in failed] == [["h2"], ["h2"]]


# ── certificates ───────────────────────────────────────────────────────────────────────────────────


def test_the_certificate_is_for_the_name_in_sni(start: Start, ca: Path) -> None:
    run = start()
    asked = (
        "example.test",
        "a.b.c.example.test",
        "MiXed.Example.Test",
        "xn--bcher-kva.example",
        "my_host.example.test",
        "single",
        f"{'l' * 63}.{'m' * 63}.example.test",
    )
    for name in asked:
        with secured(direct(run.port), ca, name) as sock:
            assert names(sock) == [name.lower()]
            assert get(sock, name) == b"hello"
    requests = run.stop().by_type("request")
    assert [record["tlsMetadata"]["sniHostname"].lower() for record in requests] == [name.lower() for name in asked]
    assert [record["url"] for record in requests] == [f"https://{name.lower()}/path" for name in asked]


def test_an_international_name(start: Start, ca: Path) -> None:
    run = start()
    with secured(direct(run.port), ca, "bücher.example") as sock:
        assert names(sock) == ["xn--bcher-kva.example"]
    with secured(tunnel(run.port, "xn--bcher-kva.example:443"), ca, "bücher.example") as sock:
        assert get(sock, "xn--bcher-kva.example") == b"hello"
    assert run.stop().one("request")["url"] == "https://xn--bcher-kva.example/path"


def test_the_name_of_the_tunnel_where_there_is_no_sni(start: Start, ca: Path) -> None:
    run = start()
    for target, shown in (
        ("tunnel.test:443", "tunnel.test"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("*.wild.test:443", "*.wild.test"),
    ):
        with secured(tunnel(run.port, target), ca, None) as sock:
            assert names(sock) == [shown]
            assert get(sock, "name.in.host") == b"hello"
    session = run.stop()
    assert [record["url"] for record in session.by_type("request")] == [
        "https://tunnel.test/path",
        "https://name.in.host/path",
        "https://name.in.host/path",
        "https://*.wild.test/path",
    ]


def test_a_client_checks_the_address_in_the_certificate(start: Start, ca: Path) -> None:
    run = start()
    for address, host in (("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]")):
        with secured(tunnel(run.port, f"{host}:443"), ca, address) as sock:
            assert get(sock, host) == b"hello"
    four, six = run.stop().by_type("request")
    assert where(four) == ("https", "https://192.0.2.1/path", "192.0.2.1", 443)
    assert where(six) == ("https", "https://[2001:db8::1]/path", "2001:db8::1", 443)
    assert "sniHostname" not in four["tlsMetadata"]


def test_sni_is_stronger_than_the_name_of_the_tunnel(start: Start, ca: Path) -> None:
    run = start()
    with secured(tunnel(run.port, "192.0.2.1:8443"), ca, "sni.test") as sock:
        assert names(sock) == ["sni.test"]
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(65536).endswith(b"hello")
    assert where(run.stop().one("request")) == ("https", "https://sni.test:8443/", "192.0.2.1", 8443)


def test_without_any_name_it_is_localhost_and_the_address(start: Start, ca: Path) -> None:
    run = start()
    with secured(direct(run.port), ca, "127.0.0.1") as sock:
        assert names(sock) == ["localhost", "127.0.0.1"]
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(65536).endswith(b"hello")
    request = run.stop().one("request")
    assert request["url"] == f"https://localhost:{run.port}/"
    assert "sniHostname" not in request["tlsMetadata"]


def test_the_default_domain(start: Start, ca: Path) -> None:
    run = start(f"{RULES}tls: {{defaultDomain: other.test}}\n")
    with secured(direct(run.port), ca, None) as sock:
        assert names(sock) == ["other.test", "127.0.0.1"]
    run.stop()


def test_the_authority_is_shown_with_the_certificate(start: Start, ca: Path) -> None:
    run = start()
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    said = s_client(run.port, "-showcerts", "-CAfile", ca, "-servername", "a.test")
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", said, re.DOTALL)
    assert blocks[1] + "\n" == ca.read_text()
    run.stop()


@pytest.mark.parametrize("length", [2048, 1024])
def test_rsa_keys(start: Start, ca: Path, length: int) -> None:
    run = start(f"{RULES}tls: {{keyType: rsa, keyLength: {length}}}\n")
    context = ssl.create_default_context(cafile=str(ca))
    if length < 2048:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with direct(run.port) as sock, context.wrap_socket(sock, server_hostname="localhost") as wrapped:
        key = certificate(wrapped).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == length
        assert get(wrapped, "localhost") == b"hello"
    run.stop()


@needs_openssl
@pytest.mark.parametrize(
    ("kind", "way"), [("rsa", "rule file"), ("ec", "options"), ("sec1", "rule file"), ("pkcs1", "options")]
)
def test_an_authority_of_the_users_own(start: Start, ca: Path, tmp_path: Path, kind: str, way: str) -> None:
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    curve = ("-pkeyopt", "ec_paramgen_curve:P-384")
    new = ("-newkey", "ec", *curve) if kind in ("ec", "sec1") else ("-newkey", "rsa:2048")
    subject = ("-subj", "/CN=Own CA", "-addext", "keyUsage=critical,keyCertSign")
    run_client("openssl", "req", "-x509", *new, "-nodes", "-days", "2", *subject, "-keyout", key, "-out", cert)
    if kind in ("sec1", "pkcs1"):
        run_client(
            "openssl",
            "ec" if kind == "sec1" else "rsa",
            "-in",
            key,
            "-out",
            key,
            *(["-traditional"] if kind == "pkcs1" else []),
        )
        assert ("EC PRIVATE" if kind == "sec1" else "RSA PRIVATE") in key.read_text()
    if way == "rule file":
        run = start(f"{RULES}tls: {{ca: {{cert: own.pem, key: own.key}}}}\n")
    else:
        run = start(RULES, "--ca-cert", cert, "--ca-key", key)
    with secured(direct(run.port), cert, "localhost") as sock:
        assert get(sock, "localhost") == b"hello"
        assert isinstance(certificate(sock).public_key(), ec.EllipticCurvePublicKey)
        assert certificate(sock).issuer.rfc4514_string() == "CN=Own CA"
    run.stop()
    assert not ca.exists(), "nobody needs another authority"


def test_an_authority_that_cannot_be_had(start: Start, tmp_path: Path) -> None:
    """Plain HTTP goes on, TLS fails without being a defect of the program."""
    (tmp_path / "file").write_text("in the way")
    run = start(RULES, env={"MOCKREC_CA_DIR": str(tmp_path / "file" / "ca")})
    assert "HTTPS cannot be intercepted" in run.stderr
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=SECONDS)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    connection.close()
    context = ssl.create_default_context()
    with direct(run.port) as sock, pytest.raises(OSError):
        context.wrap_socket(sock, server_hostname="localhost")
    session = run.stop()
    assert session.code == 0, session.stderr
    assert session.one("tls-client-error")["failureCause"] == "unknown"


# ── versions, key log, metadata ────────────────────────────────────────────────────────────────────


@needs_openssl
def test_the_lowest_version(start: Start, ca: Path) -> None:
    ordinary = start()
    assert "hello" in s_client(ordinary.port, "-tls1_2", "-CAfile", ca)
    assert "hello" not in s_client(ordinary.port, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
    assert ordinary.stop().one("tls-client-error")["failureCause"] == "unknown"

    newest = start(f"{RULES}tls: {{minVersion: TLSv1.3}}\n", out="newest.jsonl")
    assert "hello" in s_client(newest.port, "-tls1_3", "-CAfile", ca)
    refused = s_client(newest.port, "-tls1_2", "-CAfile", ca)
    assert "hello" not in refused
    assert "alert protocol version" in refused
    assert newest.stop().one("tls-client-error")["failureCause"] == "unknown"

    oldest = start(f"{RULES}tls: {{minVersion: TLSv1}}\n", out="oldest.jsonl")
    for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3"):
        assert "hello" in s_client(oldest.port, version, "-cipher", "DEFAULT:@SECLEVEL=0", "-CAfile", ca), version
    assert [record["tlsMetadata"]["version"] for record in oldest.stop().by_type("request")] == [
        "TLSv1",
        "TLSv1.1",
        "TLSv1.2",
        "TLSv1.3",
    ]


def test_the_key_log_has_both_sides(start: Start, ca: Path, tmp_path: Path, tls_server: TlsServer) -> None:
    run = start(f"""
version: 1
tls: {{keyLogFile: keys.log}}
upstream: {{trustedCAs: [{tls_server.cert}]}}
unmatched: passthrough
rules: []
""")
    context = ssl.create_default_context(cafile=str(ca))
    theirs = tmp_path / "client.log"
    context.keylog_filename = str(theirs)
    sock = tunnel(run.port, f"localhost:{tls_server.port}")
    with sock, context.wrap_socket(sock, server_hostname="localhost") as wrapped:
        assert get(wrapped, "localhost") == b"upstream"
    assert run.stop().one("response")["body"] == {"size": 8, "text": "upstream"}
    lines = (tmp_path / "keys.log").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]+", line) for line in lines)
    ours = {line for line in theirs.read_text().splitlines() if not line.startswith("#")}
    assert ours <= set(lines), "the client's side"
    assert len({line.split()[1] for line in lines}) == 2, "two connections: one to the client, one to the server"
    assert oct((tmp_path / "keys.log").stat().st_mode & 0o777) == "0o600"


def test_metadata_on_every_request_of_a_connection(start: Start, ca: Path) -> None:
    run = start("version: 1\nrules:\n  - {when: {path: /no}, then: close}\n  - then: {reply: {body: hello}}\n")
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["http/1.1"])
    for _ in range(2):
        with direct(run.port) as sock, context.wrap_socket(sock, server_hostname="meta.test") as wrapped:
            for path in ("/one", "/two", "/no"):
                wrapped.sendall(f"GET {path} HTTP/1.1\r\nHost: meta.test\r\n\r\n".encode())
                assert wrapped.recv(65536).endswith(b"hello") or path == "/no"
    session = run.stop()
    heads = [record for record in session.records if record["type"] in ("request-initiated", "request", "abort")]
    assert len(heads) == 14
    (told,) = {tuple(sorted((key, str(value)) for key, value in record["tlsMetadata"].items())) for record in heads}
    metadata = dict(told)
    assert metadata["sniHostname"] == "meta.test"
    assert metadata["clientAlpn"] == "['http/1.1']"
    assert metadata["version"] == "TLSv1.3"
    assert metadata["cipher"].startswith("TLS_")
    assert re.fullmatch("[0-9a-f]{32}", metadata["ja3Fingerprint"])
    assert re.fullmatch("t13d[0-9]{4}h1_[0-9a-f]{12}_[0-9a-f]{12}", metadata["ja4Fingerprint"])
    assert session.by_type("tls-client-error") == []


def test_plain_requests_have_no_tls_metadata_and_inner_ones_their_own(start: Start, ca: Path) -> None:
    run = start()
    with secured(direct(run.port), ca, "outer.test") as sock:
        sock.sendall(b"GET /outer HTTP/1.1\r\nHost: outer.test\r\n\r\n")
        assert sock.recv(65536).endswith(b"hello")
        sock.sendall(b"CONNECT inner.test:80 HTTP/1.1\r\nHost: inner.test:80\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 200 OK\r\n\r\n"
        assert get(sock, "inner.test") == b"hello"
    outer, inner = run.stop().by_type("request")
    assert outer["tlsMetadata"]["sniHostname"] == "outer.test"
    assert where(inner) == ("http", "http://inner.test/path", "inner.test", 80)
    assert "tlsMetadata" not in inner
    assert outer["connectionId"] == inner["connectionId"]


def test_a_client_that_has_only_shaken_hands_when_the_recorder_stops(start: Start, ca: Path) -> None:
    """Browsers connect in advance. That we close is no failure of theirs."""
    run = start()
    with secured(direct(run.port), ca, "localhost") as sock:
        session = run.stop()
        assert sock.recv(1) == b""
    assert session.by_type("tls-client-error") == []


def test_rules_that_break_off_do_so_through_tls(start: Start, ca: Path) -> None:
    run = start(
        "version: 1\nrules:\n  - {when: {path: /reset}, then: reset}\n  - {when: {path: /close}, then: close}\n"
    )
    for sock in (direct(run.port), tunnel(run.port, "localhost:443")):
        with sock:
            client = Tls(sock, ca, "localhost")
            client.sendall(b"GET /reset HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    with direct(run.port) as sock:
        client = Tls(sock, ca, "localhost")
        client.sendall(b"GET /close HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1) == b"", "with close_notify"
    codes = [record["error"]["code"] for record in run.stop().by_type("abort")]
    assert codes == ["E_RULE_RESET", "E_RULE_RESET", "E_RULE_CLOSE"]
