"""The way to servers: through proxies of every kind, past them, with certificates and name servers of one's own."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]


def passing(upstream: str) -> str:
    return f"version: 1\nupstream: {{{upstream}}}\nrules: [{{id: on, then: passthrough}}]\n"


@pytest.fixture
def proxy(recorder: Start, pki: Any) -> Any:
    """Another recorder, as the proxy on the way."""
    return recorder(
        f"version: 1\nupstream: {{trustedCAs: ['{pki.ca}']}}\nunmatched: passthrough\n",
        "--socks",
        *pki.options,
        out="proxy.jsonl",
    )


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5", "socks5h"])
def test_through_a_proxy(recorder: Start, upstream: Make, client: Make, pki: Any, proxy: Any, scheme: str) -> None:
    servers = {"http": upstream(), "https": upstream(tls=pki.server())}
    run = recorder(passing(f"proxy: '{scheme}://127.0.0.1:{proxy.port}', trustedCAs: ['{pki.ca}']"))
    said = client(run.port)
    urls = [f"{protocol}://localhost:{server.port}/x" for protocol, server in servers.items() for _ in range(2)]
    for url in urls:
        assert said.get(url).text == "ok"
    assert [server.accepted for server in servers.values()] == [1, 1]
    run.stop()
    seen = proxy.stop().by_type("request")
    assert [record["url"] for record in seen] == urls
    destinations = {record["destination"]["hostname"] for record in seen}
    # socks5 resolves names here; then the proxy sees an address, and TLS or Host tell it the name.
    assert destinations <= ({"127.0.0.1", "::1"} if scheme == "socks5" else {"localhost"})


def test_an_https_proxy(recorder: Start, upstream: Make, client: Make, pki: Any, proxy: Any) -> None:
    server = upstream()
    run = recorder(passing(f"proxy: 'https://localhost:{proxy.port}', trustedCAs: ['{pki.ca}']"))
    assert client(run.port).get(f"{server.url}/x").text == "ok"
    run.stop()
    assert proxy.stop().one("request")["tlsMetadata"]["sniHostname"] == "localhost"


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_wants_a_password(recorder: Start, upstream: Make, client: Make, scheme: str) -> None:
    server = upstream()
    guarded = recorder(
        "version: 1\nserver: {auth: 'ada:pass:word'}\nunmatched: passthrough\n", "--socks", out="guarded.jsonl"
    )
    run = recorder(passing(f"proxy: '{scheme}://ada:pass%3Aword@127.0.0.1:{guarded.port}'"))
    assert client(run.port).get(f"{server.url}/x").text == "ok"
    assert "proxy-authorization" not in server.request.headers
    run.stop()
    run = recorder(passing(f"proxy: '{scheme}://ada:wrong@127.0.0.1:{guarded.port}'"), out="wrong.jsonl")
    got = client(run.port).get(f"{server.url}/x")
    assert got.status == (407 if scheme == "http" else 502)  # the proxy's own answer; SOCKS has none to pass on
    run.stop()
    guarded.stop()


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h"])
def test_a_proxy_that_cannot_be_used_is_named(recorder: Start, upstream: Make, client: Make, scheme: str) -> None:
    nonsense = upstream(
        serve=lambda connection: (connection.more(), connection.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    )
    for port, code in ((nonsense.port, "ERR_PROXY_FAILED"), (1, "ECONNREFUSED")):
        run = recorder(passing(f"proxy: '{scheme}://127.0.0.1:{port}'"), out=f"{code}.jsonl")
        got = client(run.port).get("https://server.test/")
        assert got.status == 502
        assert f"the proxy {scheme}://127.0.0.1:{port}" in got.text
        assert got.text.endswith(f"[{code}]\n")
        run.stop()


def test_hosts_that_are_reached_without_it(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(passing("proxy: 'http://127.0.0.1:1', noProxy: [localhost, '127.0.0.1:1']"))
    assert client(run.port).get(f"http://localhost:{server.port}/").text == "ok"
    assert client(run.port).get(f"http://api.localhost:{server.port}/").text == "ok"
    assert client(run.port).get(f"http://127.0.0.1:{server.port}/").status == 502
    run.stop()


def test_a_step_may_say_it_itself(recorder: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = recorder(
        "version: 1\nupstream: {proxy: 'http://127.0.0.1:1'}\n"
        "rules: [{when: {path: /direct}, then: {passthrough: {proxy: null}}}, {then: passthrough}]\n"
    )
    said = client(run.port)
    assert said.get(f"{server.url}/direct").text == "ok"
    assert said.get(f"{server.url}/").status == 502
    run.stop()


# ── certificates ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "host"), [("pem", "localhost"), ("pfx", "localhost"), ("pem", "localhost:{port}"), ("pem", "'*'")]
)
def test_a_client_certificate(
    recorder: Start, upstream: Make, client: Make, pki: Any, tmp_path: Any, form: str, host: str
) -> None:
    context = pki.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.ca)
    server = upstream(tls=context)
    cert, key = pki.issue("me", issuer=(pki.ca, pki.ca_key))
    if form == "pem":
        files = f"{{cert: '{cert}', key: '{key}'}}"
    else:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

        loaded = load_pem_private_key(key.read_bytes(), None)
        bundle = pkcs12.serialize_key_and_certificates(
            b"me", loaded, x509.load_pem_x509_certificate(cert.read_bytes()), None, BestAvailableEncryption(b"word")
        )
        (tmp_path / "me.pfx").write_bytes(bundle)
        files = "{pfx: me.pfx, passphrase: word}"
    name = host.format(port=server.port)
    run = recorder(
        passing(f"trustedCAs: ['{pki.ca}'], clientCertificates: {{{name if chr(39) in name else repr(name)}: {files}}}")
    )
    assert client(run.port).get(f"https://localhost:{server.port}/").text == "ok"
    run.stop()
    run = recorder(passing(f"trustedCAs: ['{pki.ca}']"), out="without.jsonl")
    assert client(run.port).get(f"https://localhost:{server.port}/").status == 502
    run.stop()


def test_files_that_cannot_be_used_are_said_at_the_start(program: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for option, text in (
        ("trustedCAs: [empty.pem]", "holds no PEM certificate"),
        ("trustedCAs: [gone.pem]", "gone.pem"),
        ("dnsServers: [ns.test]", "ns.test is not the address of a name server"),
        ("proxy: 'http://127.0.0.1:99999'", "upstream.proxy"),
    ):
        (tmp_path / "rules.yaml").write_text(passing(option))
        done = program("run", "rules.yaml", "--port", "0", "-o", "none")
        assert done.returncode == 2
        assert text in done.stderr
        assert "Traceback" not in done.stderr


# ── names ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def name_server() -> Iterator[int]:
    """Answers every question for an IPv4 address with 127.0.0.1, and knows no other."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            query, client = sock.recvfrom(4096)
            if not query:
                return
            end = query.index(b"\0", 12) + 5
            question, kind = query[12:end], query[end - 4 : end - 2]
            answers = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01" if kind == b"\0\1" else b""
            head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if answers else b"\0\0") + b"\0\0\0\0"
            sock.sendto(head + question + answers, client)

    thread = threading.Thread(target=serve)
    thread.start()
    yield sock.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", ("127.0.0.1", sock.getsockname()[1]))
    thread.join()
    sock.close()


def test_a_name_server_of_ones_own(recorder: Start, upstream: Make, client: Make, name_server: int) -> None:
    server = upstream()
    run = recorder(passing(f"dnsServers: ['127.0.0.1:{name_server}']"))
    assert client(run.port).get(f"http://shop.invalid:{server.port}/").text == "ok"
    told = dict(run.stop().told())
    assert told["passthrough-response-head"]["timings"].keys() == {"dns", "connect", "firstByte"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_looked_for_on_both_addresses(recorder: Start, upstream: Make, client: Make, host: str) -> None:
    try:
        server = upstream(host=host)
    except OSError:
        pytest.skip("no IPv6 here")
    run = recorder(passing(""))
    assert client(run.port).get(f"http://localhost:{server.port}/").text == "ok"
    run.stop()


# ── proxies that fail ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
@pytest.mark.parametrize("how", ["closes", "hangs"])
def test_a_proxy_that_says_nothing_is_named(
    recorder: Start, upstream: Make, client: Make, eventually: Callable[..., None], scheme: str, how: str
) -> None:
    proxy = upstream(serve=lambda connection: connection.more() and how == "hangs" and connection.hang())
    run = recorder(passing(f"timeouts: {{connect: 200ms}}, proxy: '{scheme}://127.0.0.1:{proxy.port}'"))
    said = client(run.port)
    assert said.get("https://server.test/").status == 502
    before = run.descriptors
    got = said.get("https://server.test/")
    assert got.status == 502
    assert "https://server.test:443: " in got.text
    assert f"the proxy {scheme}://127.0.0.1:{proxy.port}" in got.text
    eventually(lambda: run.descriptors <= before)
    session = run.stop()
    (tag,) = session.by_type("response")[-1]["tags"]
    assert tag in (
        ("passthrough-error:ETIMEDOUT",)
        if how == "hangs"
        else ("passthrough-error:ECONNRESET", "passthrough-error:EPROTO")
    )


def test_an_https_proxy_with_a_bad_certificate_is_named(
    recorder: Start, upstream: Make, client: Make, pki: Any
) -> None:
    proxy = upstream(tls=pki.server(days=(-9, -3)))
    run = recorder(passing(f"proxy: 'https://127.0.0.1:{proxy.port}', trustedCAs: ['{pki.ca}']"))
    got = client(run.port).get("http://server.test/")
    assert got.status == 502
    assert f"the proxy https://127.0.0.1:{proxy.port}" in got.text
    assert got.text.endswith("its certificate has expired [CERT_HAS_EXPIRED]\n")
    run.stop()


def test_a_failing_server_behind_a_proxy_is_not_the_proxys_fault(
    recorder: Start, upstream: Make, client: Make, pki: Any, proxy: Any
) -> None:
    server = upstream(tls=pki.server(days=(-9, -3)))
    tunnel = upstream(serve=lambda connection: _connect_to(connection, server.port))
    run = recorder(passing(f"proxy: 'http://127.0.0.1:{tunnel.port}', trustedCAs: ['{pki.ca}']"))
    got = client(run.port).get(f"https://localhost:{server.port}/")
    assert got.status == 502
    assert got.text.endswith(f"https://localhost:{server.port}: its certificate has expired [CERT_HAS_EXPIRED]\n")
    run.stop()


def _connect_to(connection: Any, port: int) -> None:
    """What an HTTP proxy does with CONNECT."""
    assert connection.head().method == "CONNECT"
    connection.send(b"HTTP/1.1 200 Connection established\r\nVia: tests\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), 20) as server:

        def copy() -> None:
            try:
                while data := server.recv(65536):
                    connection.send(data)
            except OSError:
                pass

        thread = threading.Thread(target=copy)
        thread.start()
        try:
            while connection.more():
                server.sendall(connection.buffer)
                connection.buffer = b""
        except OSError:
            pass
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_server_behind_a_proxy_that_speaks_first(recorder: Start, upstream: Make, client: Make, scheme: str) -> None:
    """Its first words may come in one segment with the proxy's."""

    def serve(connection: Any) -> None:
        if scheme == "http":
            connection.head()
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n220 hello\r\n")
        else:
            connection.exactly(3)
            connection.send(b"\x05\x00")
            connection.exactly(5 + len("mail.test") + 2)
            connection.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x19220 hello\r\n")
        connection.hang()

    proxy = upstream(serve=serve)
    run = recorder(
        f"version: 1\nserver: {{passthrough: [unknown-protocol]}}\nupstream: {{proxy: '{scheme}://127.0.0.1:{proxy.port}'}}\n"
    )
    said = client(run.port).tunnel("mail.test:25")
    said.send("\x00EHLO\r\n")
    assert said.exactly(11) == b"220 hello\r\n"
    said.leave()
    run.stop()


@pytest.fixture
def with_script(recorder: Start, tmp_path: Path) -> Start:
    """A recorder with a script of this body."""

    def start(body: str, more: str = "") -> Any:
        (tmp_path / "proxy.pac").write_text(f"function FindProxyForURL(url, host) {{ {body} }}")
        return recorder(passing("proxy: {pac: proxy.pac}" + more))

    return start


def test_a_script_names_the_proxy_and_the_next_one_where_that_fails(
    with_script: Start, upstream: Make, client: Make, proxy: Any
) -> None:
    server = upstream()
    names = f"PROXY 127.0.0.1:1; SOCKS5 127.0.0.1:{proxy.port}; DIRECT"
    run = with_script(f"return shExpMatch(url, 'http://127.0.0.1:*/') ? '{names}' : 'DIRECT';")
    assert [client(run.port).get(f"{server.url}/{n}?secret").text for n in range(3)] == ["ok"] * 3
    session = run.stop()
    assert session.by_type("abort") == []
    assert [record["path"] for record in proxy.stop().by_type("request")] == [f"/{n}?secret" for n in range(3)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("throw new Error('closed today');", "fails: Error: closed today [ERR_PROXY_FAILED]"),
        ("while (true) {}", "proxy.pac has not answered: no connection within 2s [ETIMEDOUT]"),
    ],
)
def test_a_script_that_fails_is_a_502(with_script: Start, upstream: Make, client: Make, body: str, says: str) -> None:
    server = upstream()
    run = with_script(body, ", timeouts: {connect: 2s}")
    got = client(run.port).get(f"{server.url}/")
    assert (got.status, got.text.strip().endswith(says)) == (502, True), got.text
    assert server.requests == []
    run.stop()


def test_past_a_script_by_no_proxy(with_script: Start, upstream: Make, client: Make) -> None:
    server = upstream()
    run = with_script("return 'PROXY 127.0.0.1:1';", ", noProxy: [127.0.0.1]")
    assert client(run.port).get(f"{server.url}/").text == "ok"
    run.stop()
