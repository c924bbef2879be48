"""Redaction of any record: no planted secret stays, nothing else changes, nothing raises."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.redaction.placeholders import MARK, Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor, SecretScope
from mockrec.formats.files.jsonl import encode_lines

MARKS = Placeholders(b"key")
NAMES = ("password", "accessToken", "X-Api-Key", "client_secret", "sid", "user[pwd]", "connect.sid", "csrf")
# Neither part of a mark nor of the words around it.
SECRETS = st.text(st.sampled_from("GHJKLMNPQRSTUVWXYZ0123456789+/=&%\"\\ ;,ä€\n'"), min_size=8, max_size=30).filter(
    lambda text: text.strip() == text and sum(char.isalnum() for char in text) >= 6
)
HEADER_SECRETS = st.text(st.sampled_from("GHJKLMNPQRSTUVWXYZ0123456789+/=-_."), min_size=8, max_size=30)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12) | st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "id", "url", "path", "headers", "rawHeaders", "trailers", "rawTrailers", "body", "content", "request", "response",
     "error", "eventData", "command", "rules", "tags", "eventType", "rawHead", "x"]
)  # fmt: skip


def redactor() -> Redactor:
    return Redactor(Policy(), MARKS)


def forms(secret: str) -> set[str]:
    escaped = json.dumps(secret, ensure_ascii=False)[1:-1]
    plain = quote(secret, safe="")
    return {secret, escaped, plain, quote_plus(secret), json.dumps(escaped, ensure_ascii=False)[1:-1]}


def texts(value: Any) -> list[str]:
    """All strings of a record, those in base64 too."""
    if isinstance(value, dict):
        found = [text for key, item in value.items() for text in (key, *texts(item))]
        if isinstance(value.get("base64"), str):
            found.append(base64.b64decode(value["base64"]).decode("utf-8", "replace"))
        return found
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def assert_gone(record: dict[str, Any], secret: str) -> None:
    found = texts(orjson.loads(encode_lines((record,))))
    for form in forms(secret):
        assert not any(form in text for text in found), form
    assert any(MARK.search(text) for text in found)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any], bytes]:
    """A secret, headers, and a body that holds it under a secret name."""
    secret, name = draw(SECRETS), draw(st.sampled_from(NAMES))
    kind = draw(st.sampled_from(["json", "list", "lines", "form", "multipart", "inner", "cut"]))
    around = draw(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
    tree: dict[str, Any] = {**around, "a": [{name: secret}], "max_tokens": "many"}
    content_type, body = "application/json", json.dumps(tree, ensure_ascii=draw(st.booleans()) and secret.isascii())
    if kind == "list":
        body = json.dumps(
            {**around, name: ["x", [secret], 1]}, indent=draw(st.sampled_from([None, 2])), ensure_ascii=False
        )
    elif kind == "lines":
        content_type, body = "application/x-ndjson", f"{body}\n{body}\n"
    elif kind == "form":
        content_type, body = "application/x-www-form-urlencoded", f"a=1&{quote_plus(name)}={quote_plus(secret)}&b=2"
    elif kind == "multipart":
        content_type = "multipart/form-data; boundary=XX"
        body = f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{secret}\r\n--XX--\r\n'
    elif kind == "inner":
        body = json.dumps({"inner": json.dumps({name: secret}, ensure_ascii=False)}, ensure_ascii=False)
    elif kind == "cut":
        body = json.dumps({name: secret}, ensure_ascii=False)[:-2]
    return secret, {"content-type": content_type}, body.encode()


@given(bodies(), st.binary(max_size=8), st.sampled_from(["", "request", "response"]))
def test_bodies(planted: tuple[str, dict[str, Any], bytes], noise: bytes, side: str) -> None:
    secret, headers, body = planted
    logger, owner = BodyEncoder("decoded", 100_000, redactor()), SecretScope()
    for data in (body, body + b"\n" + noise):
        record = {"type": "request", "body": logger.whole(data, headers, side, owner)}
        assert record["body"]["redacted"] is True
        assert record["body"]["size"] == len(data)
        assert_gone(record, secret)
    again = redactor().record(record)
    assert again is record  # marks stay


@given(st.data(), HEADER_SECRETS)
def test_heads(data: st.DataObject, secret: str) -> None:
    """And what stood in the head is gone from everything else in the record."""
    place = data.draw(st.sampled_from(["header", "bearer", "basic", "cookie", "set-cookie", "query", "userinfo"]))
    url, pair = "http://a.test/", ["Host", "a.test"]
    if place == "header":
        pair = [data.draw(st.sampled_from(["X-Api-Key", "x-auth-token", "Signature"])), secret]
    elif place == "bearer":
        pair = ["Authorization", f"Bearer {secret}"]
    elif place == "basic":
        pair = ["Proxy-Authorization", "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()]
    elif place == "cookie":
        pair = ["Cookie", f"a=1; b={secret}"]
    elif place == "set-cookie":
        pair = ["Set-Cookie", f"b={secret}; Path=/"]
    elif place == "query":
        url += f"?token={quote(secret, safe='')}&x=1"
    else:
        url = f"http://me:{quote(secret, safe='')}@a.test/"
    headers = {pair[0].lower(): [pair[1]] if place == "set-cookie" else pair[1]}
    record = {
        "type": "request",
        "url": url,
        "headers": headers,
        "rawHeaders": [pair],
        "eventData": {"said": [f"is {secret}"]},
    }
    found = SecretScope()
    redacted = redactor().record(record, found)
    assert_gone(redacted, secret)
    later = {"type": "response", "body": {"size": 99, "text": f"you are {secret}!"}}
    assert_gone(redactor().record(later, found), secret)


@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_record(record: dict[str, Any]) -> None:
    one = redactor()
    redacted = one.record(record)
    assert set(redacted) == set(record)
    again = one.record(redacted)
    assert encode_lines((again,)) == encode_lines((redacted,))


WORDS = st.text(st.characters(exclude_characters="=:\"'/@", exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(KEYS, st.lists(WORDS, max_size=4) | WORDS | st.integers(), max_size=6))
def test_a_record_without_secrets_is_itself(record: dict[str, Any]) -> None:
    assert redactor().record(record) is record


@given(
    st.binary(max_size=200), st.sampled_from(["", "application/json", "text/html", "multipart/form-data; boundary=a"])
)
def test_any_body(data: bytes, content_type: str) -> None:
    one = redactor()
    redacted = one.body(data, content_type, "", None)
    assert one.body(redacted, content_type, "", None) == redacted
