"""Secrets under escaped names, in texts inside other texts, and in the syntax of formats and languages."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from mockrec.engine.redaction.placeholders import PLACEHOLDER, Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope
from mockrec.formats.files.jsonl import encode_lines

SECRET = "hunter2-ABCdef"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"


def redactor() -> Redactor:
    return Redactor(Policy(), Placeholders(b"key"))


@pytest.mark.parametrize(
    "call", ['login(password: "%s")', 'login(user: "a",apiKey:"%s")', '{ auth(in: {clientSecret: "%s"}) }']
)
def test_arguments_in_graphql(call: str) -> None:
    query = call % SECRET
    for kind, body in (
        ("application/json", json.dumps({"query": f"mutation {{ {query} {{ id }} }}"})),
        ("application/graphql", query),
        ("text/plain", query),
    ):
        redacted = redactor().body(body.encode(), kind, "request", DetachedScope())
        assert SECRET.encode() not in redacted
        assert len(PLACEHOLDER.findall(redacted.decode())) == 1
        assert len(redacted.split(b'"')) == len(body.split('"'))


def inner(depth: int) -> str:
    url = f"https://a.test/?access_token={SECRET}"
    for _ in range(depth):
        url = f"https://a.test/?next={quote(url, safe='')}"
    return url


ESCAPED = [
    (FORM, f"p%61ssword={SECRET}&a=1"),
    (FORM, f"%70%61%73%73%77%6f%72%64={SECRET}"),
    (FORM, f"a=1&user%5bp%61ssword%5d={SECRET}"),
    ("text/plain", f"/x?p%61ssword={SECRET}&a=1"),
    ("application/json", f'{{"pass\\u0077ord": "{SECRET}"}}'),
    ("application/json", f'{{"\\u0070assword" : ["{SECRET}"]}}'),
    ("text/html", f"&#123;&quot;password&quot;:&quot;{SECRET}&quot;&#125;"),
    ("text/html", html.escape(json.dumps({"a": {"client_secret": SECRET}}))),
    (FORM, "data=" + quote_plus(json.dumps({"a": 1, "password": SECRET, "b": 2}))),
    (FORM, "data=" + quote_plus(json.dumps({"a": json.dumps({"password": SECRET})}))),
    (FORM, "a=1&next=" + quote_plus(inner(0))),
    ("", inner(1)),
    ("", inner(2)),
    ("", f"GET /?u={quote(f'https://me:{SECRET}@a.test/', safe='')}&x=1"),
    ("application/json", json.dumps({"next": inner(1)})),
    ("application/json", json.dumps({"a": json.dumps({"token": [SECRET]})})),
    ("application/json", json.dumps({"a": json.dumps({"b": json.dumps({"pwd": SECRET})})})),
    ("application/json", json.dumps({"next": inner(1)}).replace("/", "\\/")),
]
WRITTEN = [
    ("", f"password = {SECRET}"),
    ("", f'password = "{SECRET}"\nuser = "x"'),
    ("", f"[db]\ndb_password= {SECRET}\n"),
    ("", f"password: {SECRET}\nuser: x"),
    ("", f"db:\n  password: '{SECRET}'\n"),
    ("", f"{{'user': 'x', 'password': '{SECRET}'}}"),
    ("", f"{{'user': 'x', 'password': b'{SECRET}'}}"),
    ("", f"{{:user=>\"x\", \"password\"=>\"{SECRET}\"}}"),
    ("", f"array('password' => '{SECRET}')"),
    ("", f"level=info user=x password={SECRET} ok=true"),
    ("", f'level=info password="{SECRET}" ok=true'),
    ("", f"export API_TOKEN={SECRET}\nexport B=1"),
    ("", f"DB_PASSWORD='{SECRET}'"),
    ("application/xml", f"<a><user>x</user><password>{SECRET}</password></a>"),
    ("text/xml", f'<s:Envelope><wsse:Password Type="x#y">\n  {SECRET}\n</wsse:Password></s:Envelope>'),
    ("text/xml", f"<password><![CDATA[{SECRET}]]></password>"),
    ("application/xml", f"<apiKey>{SECRET}</apiKey>"),
    (MULTIPART, f"--B\r\nContent-Disposition: form-data; name=password\r\n\r\n{SECRET}\r\n--B--\r\n"),
    (MULTIPART, f'--B\nContent-Disposition: form-data; name="password"\n\n{SECRET}\n--B--\n'),
    (MULTIPART, f"--B\nContent-Disposition: form-data; name=password; x=y\nA: b\n\n{SECRET}\n--B--\n"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [*ESCAPED, *WRITTEN])
def test_found(kind: str, text: str) -> None:
    redacted = redactor().body(text.encode(), kind, "request", DetachedScope()).decode()
    assert SECRET not in redacted
    before, after = text.split(SECRET)
    assert PLACEHOLDER.search(redacted)
    if "%40" not in text and "user" not in after[:1]:
        assert redacted.startswith(before[:-1])
        assert redacted.endswith(after)
    assert redactor().body(redacted.encode(), kind, "request", None).decode() == redacted


@pytest.mark.parametrize(("kind", "text"), [*ESCAPED, *WRITTEN])
def test_found_in_a_record(kind: str, text: str) -> None:
    """In a body, and in any other text of a record."""
    head = {"content-type": kind} if kind else {}
    record = {"type": "request", "headers": head, "body": {"size": len(text), "text": text}}
    assert SECRET.encode() not in encode_lines((redactor().record(record),))
    if "xml" not in kind and kind != MULTIPART:
        assert SECRET.encode() not in encode_lines((redactor().record({"type": "x", "errorMessage": text}),))


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_characters(coding: str) -> None:
    text = json.dumps({"password": SECRET, "a": "ü"}, ensure_ascii=False)
    redacted = redactor().body(text.encode(coding), "application/json", "request", None).decode(coding)
    assert json.loads(redacted)["password"].startswith("redacted-")
    data = text.encode(coding)
    body = {"size": len(data), "base64": base64.b64encode(data).decode()}
    record = redactor().record({"type": "request", "body": body})["body"]
    assert record["redacted"] is True
    assert "redacted-" in base64.b64decode(record.get("base64", "")).decode(coding) or record.get("text")


def test_keys_in_forms() -> None:
    body = "a=1&key=" + quote_plus(PEM) + "&b=2"
    redacted = redactor().body(body.encode(), FORM, "request", None).decode()
    assert "MIIEvQ" not in redacted
    assert redacted.startswith("a=1&key=redacted-") and redacted.endswith("&b=2")


@pytest.mark.parametrize(
    "text",
    [
        "Your password must have 8 characters; a passwordless login needs no token.",
        '<label for="password">Password</label><input type="password" name="password">',
        "the token, the secret and the session",
        "100%25 of 50%20percent &amp; more",
        "<passwords><count>3</count></passwords>",
        "<password/><token></token>",
        '{"a": "\\u0041\\u0042", "b": "c\\/d"}',
        "q=%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C&x=%41",
        "{'max_tokens': '5', 'tokenCount': 'x'}",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    for kind in ("text/plain", "text/html", "application/json", ""):
        data = text.encode()
        assert redactor().body(data, kind, "request", None) is data


def test_not_for_ever() -> None:
    """A text that is escaped repeatedly is decoded three times."""
    text = inner(30)[:65536]
    assert redactor().body(text.encode(), "", "request", None)


@pytest.mark.parametrize("place", ["data", "headers", "request", "timingEvents"])
@pytest.mark.parametrize("form", ["objects", "lists", "both"])
def test_a_record_as_deep_as_can_be_written_is_redacted(place: str, form: str) -> None:
    deep: object = {"password": SECRET, "other": f"it was {SECRET}"}
    for level in range(245):
        is_list = form == "lists" or (form == "both" and level % 2)
        deep = [deep] if is_list else {"request" if place == "request" else "a": deep}
    record = {"type": "rule-event", place: deep if place != "headers" else {"accept": deep}}
    line = encode_lines((redactor().record(record, DetachedScope()),))
    assert SECRET.encode() not in line
    assert len(PLACEHOLDER.findall(line.decode())) == 2


def test_headers_with_the_names_of_a_body() -> None:
    """A table of headers is not taken for a body, whatever its fields are called."""
    one, owner = redactor(), DetachedScope()
    one.record({"type": "request", "url": f"/?token={SECRET}"}, owner)
    headers = {"size": "1", "text": "a", "x-note": f"it is {SECRET}"}
    redacted = one.record({"type": "response", "headers": headers}, owner)["headers"]
    assert redacted.keys() == headers.keys()
    assert PLACEHOLDER.search(redacted["x-note"])
    assert SECRET not in redacted["x-note"]
