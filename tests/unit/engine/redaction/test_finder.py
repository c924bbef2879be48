"""Secrets in texts and bodies are replaced; everything else stays as it is."""

from __future__ import annotations

import json

import pytest

from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope

PLACEHOLDERS = Placeholders(b"key")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"
FORM = "application/x-www-form-urlencoded"


def redactor(add: tuple[str, ...] = (), keep: tuple[str, ...] = ()) -> Redactor:
    return Redactor(Policy(add, keep), PLACEHOLDERS)


def m(value: str) -> str:
    return PLACEHOLDERS.of(value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://a.test/?token=abc&b=1", f"https://a.test/?token={m('abc')}&b=1"),
        ("/cb?a=1&access_token=a%2Bb+c#x", f"/cb?a=1&access_token={m('a+b c')}#x"),
        ("/cb#id_token=abc", f"/cb#id_token={m('abc')}"),
        ("ftp://me:pw@host/x", f"ftp://{m('me')}:{m('pw')}@host/x"),
        ("https://tok@host:8/x", f"https://{m('tok')}@host:8/x"),
        ("http://a%20b:p@ss@host/", f"http://{m('a b')}:{m('p@ss')}@host/"),
        (f"bearer {JWT}, then", f"bearer {m(JWT)}, then"),
        (f"key:\n{PEM}\nend", f"key:\n{m(PEM)}\nend"),
        (PEM[:50], m(PEM[:50])),
        ("AKIAIOSFODNN7EXAMPLE is", f"{m('AKIAIOSFODNN7EXAMPLE')} is"),
        ("use ghp_" + "a" * 36, f"use {m('ghp_' + 'a' * 36)}"),
        ("sk-" + "b" * 30, m("sk-" + "b" * 30)),
        ('{"password": "x"}', f'{{"password": "{m("x")}"}}'),
        ('{"a": {"token" : ["x", ["y"], {"b": "z"}, 7]}}', f'{{"a": {{"token" : ["{m("x")}", ["{m("y")}"], {{"b": "z"}}, 7]}}}}'),
        ('{"secret": "a\\"b\\\\", "c": 1}', f'{{"secret": "{m(chr(97) + chr(34) + chr(98) + chr(92))}", "c": 1}}'),
        ('{"password": "cut of', f'{{"password": "{m("cut of")}'),
        ('"{\\"pwd\\": \\"x\\"}"', f'"{{\\"pwd\\": \\"{m("x")}\\"}}"'),
        ("login with password=abc, failed", f"login with password={m('abc')}, failed"),
        ("sid='a b' c", f"sid='{m('a b')}' c"),
        ('--api-key="a b"', f'--api-key="{m("a b")}"'),
        ("Authorization: Basic bWU6cHc=", f"Authorization: Basic {m('me:pw')}"),
        ("authorization: opaque", f"authorization: {m('opaque')}"),
        ("Set-Cookie: a=b; Path=/", f"Set-Cookie: a={m('b')}; Path=/"),
        ("x\nCookie: a=b; c\r\ny", f"x\nCookie: a={m('b')};{m('c') if False else ' ' + m('c')}\r\ny"),
        ("X-Api-Key: two words\nb", f"X-Api-Key: {m('two words')}\nb"),
        ('with header authorization "Bearer x"', f'with header authorization "Bearer {m("x")}"'),
        ('header x-api-key: expected "a", found "b"', f'header x-api-key: expected "{m("a")}", found "{m("b")}"'),
        ("cookie who: expected absent, found \"b\"", f'cookie who: expected absent, found "{m("b")}"'),
    ],
)  # fmt: skip
def test_texts(text: str, wanted: str) -> None:
    assert redactor().text(text) == wanted
    assert redactor().text(wanted) == wanted  # redaction is idempotent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing here",
        "max_tokens=5 token_type=x",
        '{"max_tokens": "5", "tokenCount": "x", "password": 5, "token": null, "secret": {"a": "b"}}',
        "unexpected token in JSON at position 7",
        "https://a.test/@user?x=1@2",
        "mail me@example.com",
        "eyJ.b.c",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "token=",
        '{"token": ""}',
        "risk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\ud800 lone",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert redactor().text(text) == text
    data = text.encode("utf-8", "surrogatepass")
    assert redactor().body(data, "", "", None) is data


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (FORM, "a=1&password=x+y%21&max_tokens=5", f"a=1&password={m('x y!')}&max_tokens=5"),
        (FORM, "user%5Bpassword%5D=x&b=", f"user%5Bpassword%5D={m('x')}&b="),
        (FORM + "; charset=utf-8", "token=a;b,c", f"token={m('a;b,c')}"),
        ("application/x-ndjson", '{"token":"a"}\n{"token":"b"}\n', f'{{"token":"{m("a")}"}}\n{{"token":"{m("b")}"}}\n'),
        ("application/problem+json", '{"detail":"token: x"}', '{"detail":"token: x"}'),
        ("text/html", '<script>token=f(1); a = {"secret":"s"}', f'<script>token=f(1); a = {{"secret":"{m("s")}"}}'),
        (
            'multipart/form-data; boundary="B"',
            '--B\r\nContent-Disposition: form-data; name="otp"\r\n\r\n123\r\n--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n{"pwd":"y"}\r\n--B--',
            f'--B\r\nContent-Disposition: form-data; name="otp"\r\n\r\n{m("123")}\r\n--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n{{"pwd":"{m("y")}"}}\r\n--B--',
        ),
    ],
)  # fmt: skip
def test_bodies(kind: str, body: str, wanted: str) -> None:
    assert redactor().body(body.encode(), kind, "", None).decode() == wanted
    assert redactor().body(wanted.encode(), kind, "", None).decode() == wanted


def test_bytes_around_secrets_stay() -> None:
    body = b"\x00\xff\xfe password=abc \x80\x81"
    assert redactor().body(body, "application/octet-stream", "", None) == body.replace(b"abc", m("abc").encode())


def test_what_is_found_is_replaced_elsewhere() -> None:
    owner, one = DetachedScope(), redactor()
    one.body(b'{"token": "abcdef/+"}', "", "", owner)
    assert owner.known is not None
    body = b'{"x": "abcdef/+", "y": "/?q=abcdef%2F%2B"}'
    placeholder = m("abcdef/+").encode()
    assert one.body(body, "", "", owner) == b'{"x": "' + placeholder + b'", "y": "/?q=' + placeholder + b'"}'
    assert one.text("is abcdef/+", owner) == "is " + placeholder.decode()
    assert one.body(body, "", "", None) is body


def test_selectors_of_paths() -> None:
    one = redactor(("json:$.a[*].x", "json:$['b c']"), ("json:$.a[1].x", "json:$.token"))
    value = {
        "a": [{"x": "first"}, {"x": "second"}, {"x": 3}],
        "b c": "third",
        "token": "kept-here",
        "q": [{"token": "fourth"}],
    }
    body = one.body(json.dumps(value).encode(), "application/json", "", None)
    assert json.loads(body) == {
        "a": [{"x": m("first")}, {"x": "second"}, {"x": 3}],
        "b c": m("third"),
        "token": "kept-here",
        "q": [{"token": m("fourth")}],
    }


@pytest.mark.parametrize(
    ("add", "keep", "side", "text", "is_redacted"),
    [
        ("query:who", "", "", "/?who=me", True),
        ("name:who", "", "", "/?who=me", True),
        ("name:WHO", "", "", '{"who": "me"}', True),
        ("header:who", "", "", "/?who=me", False),
        ("request.query:who", "", "request", "/?who=me", True),
        ("request.query:who", "", "response", "/?who=me", False),
        ("text:m.", "", "", "a me b", True),
        ("response.text:m.", "", "request", "a me b", False),
        ("", "name:token", "", "/?token=me", False),
        ("", "query:token", "", "/?token=me", False),
        ("", "form:token", "", "/?token=me", True),
        ("", "text:me", "", "/?token=me", False),
        ("", "text:m", "", "/?token=me", True),
        ("", "header:authorization", "", "Authorization: Bearer me", False),
    ],
)
def test_selectors(add: str, keep: str, side: str, text: str, is_redacted: bool) -> None:
    one = redactor((add,) if add else (), (keep,) if keep else ())
    redacted = one.body(text.encode(), "text/plain", side, None)
    assert (b"redacted-" in redacted) is is_redacted


@pytest.mark.parametrize("text", ["", "x", "header:", "body:x", "headers:x"])
def test_bad_selectors(text: str) -> None:
    with pytest.raises(ValueError, match="expected a selector: header:NAME"):
        Policy((text,))


def test_what_the_first_record_says() -> None:
    description = redactor(("header:x", "request.text:hunter2"), ("name:csrf",)).description
    assert description == {
        "mode": "default",
        "keyId": PLACEHOLDERS.key_id,
        "add": ["header:x", "request.text:…"],
        "keep": ["name:csrf"],
    }
    assert Redactor.of("none", {}) is None
    assert Redactor.of("default", {}).description.keys() == {"mode", "keyId"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"\0F=PWD=\xddyv\x88\xf3\xdb\x95\xd4K\xe5 \0",
        b'\0{\xa9OTP\x9d\xb7`")\x1b=T|\xc8\xb2\xb3\xc1\xda\xcf\xc2d\0',
        b"\0\x02 sid: \x88\xf3\xdb\x95\xd4",
        b"\0://\x01\x02abc@\0",
    ],
)
def test_what_is_in_an_image_by_chance_stays(data: bytes) -> None:
    assert redactor().body(data, "image/png", "", None) == data


@pytest.mark.parametrize("end", [b"\0", b"\n\0\0", b" \x88\0"])
@pytest.mark.parametrize("name", [b"password=", b"PASSWORD: ", b'"password": "', b"https://bob:"])
def test_text_in_an_archive_is_searched(name: bytes, end: bytes) -> None:
    after = {b'"': b'"', b"h": b"@a.test/"}.get(name[:1], b"")
    redacted = redactor().body(b"\0\xff\n" + name + "hünter22".encode() + after + end, "application/x-tar", "", None)
    assert "hünter22".encode() not in redacted
    assert redacted.endswith(after + end)


@pytest.mark.parametrize(("add", "keep"), [(("text:dolo+r",), ()), ((), ("text:dolo+r",)), (("text:^.",), ("text:é",))])
def test_expressions_take_bytes_that_are_no_text(add: tuple[str, ...], keep: tuple[str, ...]) -> None:
    data = "äöü dolor=".encode("latin-1") + b"\xff\xfe?token=\xe9dolor\0doloor\xe4"
    redacted = redactor(add, keep).body(data, "text/plain", "request", None)
    assert (b"doloor" in redacted) == ("text:dolo+r" not in add)
    assert redacted.startswith(b"\xe4\xf6\xfc")


def test_long_lines_are_redacted_whatever_the_limit_is() -> None:
    of = redactor()
    of.remember_values(["zulu-Kx93hqPW"])
    of.most = 100
    lines = b'{"a":"%b zulu-Kx93hqPW"}\n{"b":1}\n' % (b"x" * 100_000)
    redacted = of.lines(lines)
    assert b"zulu" not in redacted
    assert redacted.endswith(b'"}\n{"b":1}\n')
    assert of.count == 1
