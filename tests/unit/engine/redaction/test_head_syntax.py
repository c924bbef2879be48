"""Malformed heads, which some recipients accept: their secrets are found, and nothing else changes."""

from __future__ import annotations

import time

import pytest

from mockrec.engine.redaction.head_syntax import each_cookie, redacted_head, split_scheme
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope

REDACTOR = Redactor(Policy(), Placeholders(b"k"))
SECRET, OTHER = "vN4-sEcReT-9xQ", "zT7-oThEr-2kW"


def head(data: bytes) -> bytes:
    return REDACTOR.body(data, "message/http", "request", None)


@pytest.mark.parametrize(
    "fields",
    [
        f"Authorization: Bearer {SECRET}",
        f"Authorization:\r\n Bearer {SECRET}",
        f"Authorization: Bearer\r\n\t{SECRET}",
        f"Authorization: Bearer\r\n   \t  {SECRET}",
        f"Authorization : Bearer {SECRET}",
        f"Authorization\t:Bearer {SECRET}",
        f" Authorization: Bearer {SECRET}",
        f"   Authorization: Bearer {SECRET}",
        f"aUTHORIZATION: bEARER {SECRET}",
        f"Authorization:{SECRET}",
        f"Authorization: {SECRET} {OTHER}",
        f"Authorization: token {SECRET}",
        f"Authorization Bearer {SECRET}",
        f'Authorization: Digest username="bob", nonce="n", response="{SECRET}"',
        f"Authorization: AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host, Signature={SECRET}",
        f'Authorization: Hawk id="{OTHER}", mac="{SECRET}"',
        f"Authorization: Negotiate {SECRET}",
        f"Authorization: Basic {SECRET}, Bearer {OTHER}",
        f"Proxy-Authorization : Basic {SECRET}",
        f"X-Api-Key:\r\n\t{SECRET}",
        f"X-Api-Key : {SECRET} {OTHER}",
        f"  X-Api-Key: {SECRET} {OTHER}",
        f"Cookie: a={OTHER};\r\n b={SECRET}",
        f'Cookie: $Version=1; sid="{SECRET}"; $Path=/',
        f" Cookie: sid={SECRET}",
        f"Set-Cookie: a={OTHER}; Path=/, b={SECRET}; HttpOnly",
        f"X-Auth-Token: {SECRET}",
        f"DPoP: {SECRET}",
        f"Ocp-Apim-Subscription-Key: {SECRET}",
        f'Authentication-Info: rspauth="{SECRET}", nc=1',
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_secret_fields(fields: str, end: str) -> None:
    lines = f"GET /a HTTP/1.1\r\n{fields}\r\nHost: h\r\n\r\n".replace("\r\n", end)
    redacted = head(lines.encode()).decode()
    assert SECRET not in redacted and OTHER not in redacted
    assert redacted.startswith(f"GET /a HTTP/1.1{end}")
    assert redacted.endswith(f"{end}Host: h{end}{end}")


def test_a_head_that_is_cut() -> None:
    whole = f"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {SECRET}\r\nCookie: a={OTHER}".encode()
    for length in range(len(whole)):
        redacted = head(whole[:length]).decode()
        assert SECRET[:6] not in redacted and OTHER[:6] not in redacted, redacted


@pytest.mark.parametrize(
    "line",
    [
        f"CONNECT bob:{SECRET}@h:443 HTTP/1.1",
        f"GET bob:{SECRET}@h/a HTTP/1.1",
        f"GET //bob:{SECRET}@h/a HTTP/1.1",
        f"GET http://bob:{SECRET}@h/a HTTP/1.1",
        f"GET /a?access_token={SECRET}&x=1 HTTP/1.1",
    ],
)
def test_targets(line: str) -> None:
    redacted = head(f"{line}\r\nHost: h\r\n\r\n".encode()).decode()
    assert SECRET not in redacted
    assert redacted.endswith(" HTTP/1.1\r\nHost: h\r\n\r\n")


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/x-www-form-urlencoded", ""])
def test_a_kept_head_is_a_head_whatever_the_request_says_of_its_body(content_type: str) -> None:
    raw = f"POST / HTTP/1.1\r\nX-Api-Key : {SECRET}\r\n\r\n"
    record = {
        "type": "client-error",
        "request": {"headers": {"content-type": content_type}, "rawHead": {"size": len(raw), "text": raw}},
    }
    assert SECRET not in str(REDACTOR.record(record, DetachedScope()))


def test_what_is_no_secret_stays() -> None:
    plain = (
        b"GET /a?page=2 HTTP/1.1\r\nHost: user.example\r\nAccept: */*\r\nX-Folded: a\r\n b\r\n"
        b'WWW-Authenticate: Digest realm="a@b", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c0", opaque="5ccc069c403ebaf9f0171e9517f40e41"\r\n'
        b'ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
        b"Expires: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n"
    )
    assert head(plain) == plain


@pytest.mark.parametrize("cut", range(24))
def test_a_client_that_takes_us_for_a_socks_server(cut: int) -> None:
    data = b"\x05\x02\x00\x02\x01\x03bob" + bytes([len(SECRET)]) + SECRET.encode() + b"\x05\x01\x00"
    redacted = head(data[: len(data) - cut])
    assert SECRET[:6].encode() not in redacted
    assert redacted.startswith(data[: len(data) - cut][:5])


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("Bearer x", ("Bearer", " ", "x")),
        ("Bearer \r\n x", ("Bearer", " \r\n ", "x")),
        ("SCRAM-SHA-256 a=b", ("SCRAM-SHA-256", " ", "a=b")),
        ("AWS4-HMAC-SHA256 Credential=a", ("AWS4-HMAC-SHA256", " ", "Credential=a")),
        ("hunter2 x", ("", "", "hunter2 x")),
        ("x", ("", "", "x")),
        ("", ("", "", "")),
    ],
)
def test_schemes(value: str, parts: tuple[str, str, str]) -> None:
    assert split_scheme(value) == parts


def test_cookies_that_were_joined() -> None:
    joined = "a=1; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT, b=2; HttpOnly\nc=3; Secure"
    marked = each_cookie(joined, lambda cookie: cookie.partition("=")[0] + "=M")
    assert marked == "a=M; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT, b=M; HttpOnly\nc=M; Secure"


@pytest.mark.parametrize(
    "unit", ["\n", "\r\n ", "\r\n a", "a:\n", "a \n", " ", "Cookie: a\n", "GET //a", "\n\t ", "a", ","]
)
def test_the_time_grows_with_the_length(unit: str) -> None:
    def cost(length: int) -> float:
        text = unit * (length // len(unit))
        before = time.process_time()
        redacted_head(text.encode(), lambda _, value: value, lambda value: value)
        each_cookie(text, lambda cookie: cookie)
        split_scheme(text)
        return time.process_time() - before

    cost(1000)
    assert cost(400_000) < 40 * cost(50_000) + 0.3  # 64 times as much if it were quadratic
