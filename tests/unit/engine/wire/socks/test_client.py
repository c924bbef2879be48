"""SOCKS towards a proxy: every message byte for byte, and every way in which it can refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockrec.engine.wire.socks.client import Handshake, SocksRefused, connect4, connect5
from mockrec.engine.wire.socks.server import AuthMethod, SocksRequest, SocksServer

IPV6 = bytes.fromhex("20010db8000000000000000000000001")
GRANTED = b"\x05\x00\x00\x01" + bytes(6)


def talk(handshake: Handshake, answers: bytes) -> tuple[bytes, bytes]:
    """What is sent to a proxy that answers so, and what is left of the answers."""
    sent, wanted = next(handshake)
    while True:
        assert len(answers) >= wanted, "it waits for more"
        given, answers = answers[:wanted], answers[wanted:]
        try:
            out, wanted = handshake.send(given)
        except StopIteration:
            return sent, answers
        sent += out


def refusal(handshake: Handshake, answers: bytes) -> str:
    with pytest.raises(SocksRefused) as caught:
        talk(handshake, answers)
    return str(caught.value)


# ── version 5 ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a.test", b"\x03\x06a.test"),
        ("127.0.0.1", b"\x01\x7f\0\0\x01"),
        ("2001:db8::1", b"\x04" + IPV6),
        ("münchen.test", b"\x03\x13xn--mnchen-3ya.test"),
        ("x" * 255, b"\x03\xff" + b"x" * 255),
    ],
)
def test_socks5_without_a_user(host: str, address: bytes) -> None:
    sent, rest = talk(connect5(host, 443, None, ""), b"\x05\x00" + GRANTED + b"tunnel")
    assert sent == b"\x05\x01\x00" + b"\x05\x01\x00" + address + b"\x01\xbb"
    assert rest == b"tunnel"


def test_socks5_with_a_user() -> None:
    sent, rest = talk(connect5("a.test", 80, "mé", "se:cret"), b"\x05\x02" + b"\x01\x00" + GRANTED)
    assert sent == (b"\x05\x02\x00\x02" + b"\x01\x03m\xc3\xa9\x07se:cret" + b"\x05\x01\x00\x03\x06a.test\x00\x50")
    assert rest == b""


def test_a_user_is_not_told_to_a_proxy_that_does_not_ask() -> None:
    sent, _ = talk(connect5("a.test", 80, "me", "secret"), b"\x05\x00" + GRANTED)
    assert b"secret" not in sent
    assert sent.startswith(b"\x05\x02\x00\x02\x05\x01\x00")


def test_a_password_may_be_empty() -> None:
    sent, _ = talk(connect5("1.2.3.4", 80, "me", ""), b"\x05\x02\x01\x00" + GRANTED)
    assert b"\x01\x02me\x00" in sent


@pytest.mark.parametrize(
    "bound",
    [b"\x01" + bytes(6), b"\x04" + bytes(18), b"\x03\x00" + bytes(2), b"\x03\x05proxy" + bytes(2)],
)
def test_the_tunnel_begins_behind_the_bound_address(bound: bytes) -> None:
    _, rest = talk(connect5("a.test", 80, None, ""), b"\x05\x00\x05\x00\x00" + bound + b"\x16\x03")
    assert rest == b"\x16\x03"


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (b"\x04\x00", "it does not speak SOCKS 5"),
        (b"HT", "it does not speak SOCKS 5"),
        (b"\x05\xff", "it wants an authentication that was not given"),
        (b"\x05\x01", "it wants an authentication that was not given"),
        (b"\x05\x02", "it wants an authentication that was not given"),
        (b"\x05\x00\x05\x01\x00\x01", "general failure"),
        (b"\x05\x00\x05\x02\x00\x01", "not allowed by its rules"),
        (b"\x05\x00\x05\x03\x00\x01", "network unreachable"),
        (b"\x05\x00\x05\x04\x00\x01", "host unreachable"),
        (b"\x05\x00\x05\x05\x00\x01", "connection refused"),
        (b"\x05\x00\x05\x06\x00\x01", "time to live expired"),
        (b"\x05\x00\x05\x07\x00\x01", "command not supported"),
        (b"\x05\x00\x05\x08\x00\x01", "address type not supported"),
        (b"\x05\x00\x05\x63\x00\x01", "error 99"),
        (b"\x05\x00\x00\x00\x00\x01", "it does not speak SOCKS 5"),
    ],
)
def test_socks5_refuses(answers: bytes, text: str) -> None:
    assert refusal(connect5("a.test", 80, None, ""), answers) == text


def test_socks5_refuses_a_user() -> None:
    assert (
        refusal(connect5("a.test", 80, "me", "x"), b"\x05\x02\x01\x01")
        == "it does not accept the user name and password"
    )
    assert refusal(connect5("a.test", 80, "me", "x"), b"\x05\xff") == "it wants an authentication that was not given"


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("u" * 256, "x"), ("é" * 128, "x"), ("me", "p" * 256)])
def test_a_user_that_socks5_cannot_say(user: str, password: str) -> None:
    text = refusal(connect5("a.test", 80, user, password), b"\x05\x02")
    assert text == "a user name for SOCKS 5 has 1 to 255 bytes, a password at most 255"


@pytest.mark.parametrize("host", ["", "x" * 256, "ü" * 80, "a\u200db", "a\0b"])
@pytest.mark.parametrize("connect", [lambda host: connect5(host, 80, None, ""), lambda host: connect4(host, 80, None)])
def test_a_name_that_is_none_is_refused(connect: Callable[[str], Handshake], host: str) -> None:
    assert refusal(connect(host), b"\x05\x00") == "SOCKS knows no such host name"


# ── version 4 ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("host", "user", "message"),
    [
        ("127.0.0.1", None, b"\x7f\0\0\x01\0"),
        ("127.0.0.1", "me", b"\x7f\0\0\x01me\0"),
        ("a.test", None, b"\0\0\0\x01\0a.test\0"),
        ("münchen.test", "mé", b"\0\0\0\x01m\xc3\xa9\0xn--mnchen-3ya.test\0"),
    ],
)
def test_socks4_and_4a(host: str, user: str | None, message: bytes) -> None:
    sent, rest = talk(connect4(host, 8080, user), b"\x00\x5a" + bytes(6) + b"tunnel")
    assert sent == b"\x04\x01\x1f\x90" + message
    assert rest == b"tunnel"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"\x00\x5b", "rejected or failed"),
        (b"\x00\x5c", "it cannot reach our identd"),
        (b"\x00\x5d", "identd names another user"),
        (b"\x00\x00", "it does not speak SOCKS 4"),
        (b"HT", "it does not speak SOCKS 4"),
        (b"\x05\x5a", "it does not speak SOCKS 4"),
    ],
)
def test_socks4_refuses(answer: bytes, text: str) -> None:
    assert refusal(connect4("a.test", 80, None), answer + bytes(6)) == text


def test_what_socks4_cannot_say() -> None:
    assert refusal(connect4("::1", 80, None), b"") == "SOCKS 4 knows no IPv6"
    assert refusal(connect4("a.test", 80, "me\0x"), b"") == "a user name for SOCKS 4 cannot hold a NUL"


# ── both ends of ours ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["a.test", "1.2.3.4", "2001:db8::1"])
@pytest.mark.parametrize("user", [None, "metadata"])
def test_our_server_understands_our_client(host: str, user: str | None) -> None:
    method: AuthMethod = "no-auth" if user is None else "user-password-metadata"
    server = SocksServer((method,))
    handshake = connect5(host, 443, user, '{"tags": ["x"]}')
    out, wanted = next(handshake)
    buffer = b""
    requests = []
    talking = True
    while talking:
        reply, request = server.receive(out)
        buffer += reply
        if isinstance(request, SocksRequest):
            requests.append(request)
            buffer += request.accept("::1", 1)
        given, buffer = buffer[:wanted], buffer[wanted:]
        assert len(given) == wanted
        try:
            out, wanted = handshake.send(given)
        except StopIteration:
            talking = False
    assert buffer == b""
    assert requests == [SocksRequest(5, host, 443, () if user is None else ("socket-metadata:x",))]


@pytest.mark.parametrize("host", ["a.test", "1.2.3.4"])
def test_our_server_understands_our_client_of_version_4(host: str) -> None:
    handshake = connect4(host, 443, "me")
    sent, wanted = next(handshake)
    _, request = SocksServer().receive(sent)
    assert isinstance(request, SocksRequest)
    assert request == SocksRequest(4, host, 443)
    answer = request.accept()
    assert len(answer) == wanted
    with pytest.raises(StopIteration):
        handshake.send(answer)
