"""`--transparent`: no client is shown a certificate of ours for a server whose own is not good."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Start = Callable[..., Any]
Make = Callable[..., Any]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere"
KINDS = {
    "self-signed": ({"self_signed": True}, "DEPTH_ZERO_SELF_SIGNED_CERT"),
    "of another name": ({"names": ("other.test",)}, "ERR_TLS_CERT_ALTNAME_INVALID"),
    "expired": ({"days": (-30, -1)}, "CERT_HAS_EXPIRED"),
}


def client(run: Any, context: ssl.SSLContext, *, http2: bool = False) -> httpx.Client:
    return httpx.Client(proxy=run.url, verify=context, trust_env=False, timeout=20, http2=http2)


def server_with(pki: Any, upstream: Make, kind: str) -> Any:
    options = dict(KINDS[kind][0])
    return upstream(ANSWER, tls=pki.server(*options.pop("names", ()), **options))


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_client_judges_the_server_itself(recorder: Start, upstream: Make, pki: Any, kind: str, http2: bool) -> None:
    server = server_with(pki, upstream, kind)
    run = recorder(None, "--transparent", "--trust", pki.ca, *pki.options)
    broken = pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED")
    with client(run, pki.trusting, http2=http2) as asking, broken:
        asking.get(f"{server.url}/secret")
    session = run.stop()
    assert server.requests == []
    assert session.by_type("response") == []
    opened = session.one("tls-passthrough-opened")
    assert opened["tags"] == [f"passthrough-error:{KINDS[kind][1]}"]
    assert opened["destination"] == {"hostname": "127.0.0.1", "port": server.port}
    assert session.by_type("tls-client-error") == []


def test_a_client_that_trusts_everybody_reaches_the_server_unread(recorder: Start, upstream: Make, pki: Any) -> None:
    server = server_with(pki, upstream, "self-signed")
    run = recorder(None, "--transparent", *pki.options)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with client(run, context) as asking:
        assert asking.get(f"{server.url}/x").text == "here"
    session = run.stop()
    assert session.by_type("request") == []
    assert session.one("tls-passthrough-closed")["bytesSent"] > len(ANSWER)


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1", "HTTP/2"])
def test_a_good_server_is_recorded_over_the_connection_that_was_looked_at(
    recorder: Start, upstream: Make, pki: Any, http2: bool
) -> None:
    server = upstream(ANSWER, tls=pki.server())
    run = recorder(None, "--transparent", "--trust", pki.ca, *pki.options)
    with client(run, pki.trusting, http2=http2) as asking:
        for path in ("/1", "/2"):
            assert asking.get(f"{server.url}{path}").text == "here"
    session = run.stop()
    assert [record["path"] for record in session.by_type("request") if record["method"] == "GET"] == ["/1", "/2"]
    assert session.by_type("tls-passthrough-opened") == []
    assert server.accepted == 1


def test_a_server_that_is_not_there_is_a_reset_as_before(recorder: Start, upstream: Make, pki: Any) -> None:
    server = upstream(ANSWER)
    server.close()
    run = recorder(None, "--transparent", *pki.options)
    with client(run, pki.trusting) as asking, pytest.raises(httpx.TransportError):
        asking.get(f"https://127.0.0.1:{server.port}/x")
    session = run.stop()
    (aborted,) = session.by_type("abort")
    assert aborted["error"]["code"] == "ECONNREFUSED"


def test_a_rule_may_answer_for_any_server(recorder: Start, upstream: Make, pki: Any) -> None:
    """Where there are rules nobody knows before the request who will answer it."""
    server = server_with(pki, upstream, "self-signed")
    rules = "unmatched: passthrough\nrules: [{when: {path: /mine}, then: {reply: {body: hi}}}]\n"
    run = recorder(rules, "--transparent", *pki.options)
    with client(run, pki.trusting) as asking:
        assert asking.get(f"{server.url}/mine").text == "hi"
        with pytest.raises(httpx.TransportError):
            asking.get(f"{server.url}/theirs")
    session = run.stop()
    assert session.by_type("abort")[0]["error"]["code"] == "DEPTH_ZERO_SELF_SIGNED_CERT"
    assert server.requests == []
