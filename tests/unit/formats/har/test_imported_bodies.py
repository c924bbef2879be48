"""Bodies of other tools, in all their forms."""

from __future__ import annotations

import base64
import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.schema.body import Body

Record = dict[str, Any]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"!"
PLAIN = base64.b64encode(PNG).decode()


@pytest.fixture
def response_of(entry: Callable[..., Record], read: Callable[..., Any]) -> Callable[..., tuple[Record, Any]]:
    """Return the body of a response with this content, and the result of reading it."""

    def read_it(content: Any, *, status: int = 200, method: str = "GET", **headers: str) -> tuple[Record, Any]:
        fields = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
        made = entry(request={"method": method}, response={"status": status, "headers": fields})
        made["response"]["content"] = content
        result = read(made)
        assert result.problems == []
        return result.one("response")["body"], result

    return read_it


@pytest.fixture
def request_of(entry: Callable[..., Record], read: Callable[..., Any]) -> Callable[..., tuple[Record, Any]]:
    """Return the record of a POST with this postData, and the result of reading it."""

    def read_it(post_data: Any, kind: str = "", **request: Any) -> tuple[Record, Any]:
        headers = [{"name": "Content-Type", "value": kind}] if kind else []
        result = read(entry(request={"method": "POST", "headers": headers, "postData": post_data, **request}))
        return result.one("request"), result

    return read_it


@pytest.mark.parametrize(
    ("text", "encoding", "odd"),
    [
        (PLAIN, "base64", []),
        (PLAIN, "BASE64", ["base64-form"]),
        (PLAIN, " Base64 ", ["base64-form"]),
        (base64.encodebytes(PNG).decode(), "base64", ["base64-form"]),
        (PLAIN.rstrip("="), "base64", ["base64-form"]),
        (base64.urlsafe_b64encode(PNG).decode(), "base64", ["base64-form"]),
        (base64.urlsafe_b64encode(PNG).decode().rstrip("="), "base64", ["base64-form"]),
        (f"data:image/png;base64,{PLAIN}", "base64", ["base64-form"]),
        (f"data:image/png;base64,{PLAIN}", None, ["unmarked-base64"]),
        (f"data:image/PNG;name=a;base64,{PLAIN}", None, ["unmarked-base64"]),
        # browsermob-proxy before 2.1
        (PLAIN, None, ["unmarked-base64"]),
    ],
)
def test_base64(text: str, encoding: str | None, odd: list[str], response_of: Callable[..., Any]) -> None:
    content = {"size": len(PNG), "mimeType": "image/png", "text": text}
    body, result = response_of(content if encoding is None else {**content, "encoding": encoding})
    assert Body.from_record(body).bytes == PNG
    assert result.odd == odd


@pytest.mark.parametrize(
    ("text", "size", "mime"),
    [
        # Firefox (bug 1762313): marked by its type, written as it is
        ('{"a": 1}', 8, "application/octet-stream"),
        ("<p>ü</p>", 9, "text/html"),
        # only letters, which could be base64: the size shows that they are not
        ("okay", 4, "text/plain"),
        ("ok", 2, ""),
        # a person has removed the body
        ("MANUALLY REMOVED", 1096, "image/gif"),
    ],
)
def test_text_that_is_declared_as_base64_and_is_not(
    text: str, size: int, mime: str, response_of: Callable[..., Any]
) -> None:
    body, result = response_of({"size": size, "mimeType": mime, "text": text, "encoding": "base64"})
    assert body == {"size": len(text.encode()), "text": text}
    assert result.odd == ["no-base64"]


def test_base64_of_a_text_is_the_text(response_of: Callable[..., Any]) -> None:
    """Splash and other tools write all bodies like this."""
    body, result = response_of({"size": 2, "mimeType": "text/html", "text": "b2s=", "encoding": "base64"})
    assert (body, result.odd) == ({"size": 2, "text": "ok"}, [])


def test_a_size_that_is_that_of_the_base64_changes_nothing(response_of: Callable[..., Any]) -> None:
    body, _ = response_of({"size": len(PLAIN), "mimeType": "image/png", "text": PLAIN, "encoding": "base64"})
    assert Body.from_record(body).bytes == PNG


def test_bytes_with_a_character_each(response_of: Callable[..., Any]) -> None:
    """ProxyPin before 1.2.9."""
    body, result = response_of({"size": len(PNG), "mimeType": "image/png", "text": PNG.decode("latin-1")})
    assert Body.from_record(body).bytes == PNG
    assert result.odd == ["bytes-as-text"]


@pytest.mark.parametrize(
    ("content", "kept", "odd"),
    [
        ({"text": {"a": 1}, "mimeType": "application/json"}, '{"a":1}', ["body-form"]),
        ({"text": [1, 2]}, "[1,2]", ["body-form"]),
        ({"text": 5}, "5", ["body-form"]),
        ("hello", "hello", ["body-form"]),
        ({"_textBase64": "b2s="}, "ok", ["base64-form"]),
        ({"text": "ok", "encoding": ""}, "ok", []),
        ({"text": "ok", "encoding": "utf-8"}, "ok", []),
        ({"text": "a\ud800"}, "a?", ["half-character"]),
        (None, "", []),
        ({}, "", []),
        ([], "", []),
        ({"text": None, "size": None}, "", []),
        ({"size": -1}, "", []),
    ],
)
def test_forms(content: Any, kept: str, odd: list[str], response_of: Callable[..., Any]) -> None:
    body, result = response_of(content)
    assert (body, result.odd) == ({"size": len(kept), "text": kept}, odd)


@pytest.mark.parametrize(
    ("content", "status", "method", "size"),
    [
        ({"size": 5000}, 200, "GET", 5000),
        ({"size": 5000.0}, 200, "GET", 5000),
        ({"size": "5000"}, 200, "GET", 5000),
        ({"size": 5000, "text": ""}, 200, "GET", 5000),
        ({"size": 120}, 302, "GET", 120),
        ({}, 200, "GET", 7),
        ({"size": 5000}, 304, "GET", 0),
        ({"size": 5000}, 204, "GET", 0),
        ({"size": 5000}, 200, "HEAD", 0),
    ],
)
def test_bodies_that_are_not_in_the_file(
    content: Any, status: int, method: str, size: int, response_of: Callable[..., Any]
) -> None:
    body, result = response_of(content, status=status, method=method, Content_Length="7")
    missing = {"size": size, "text": "", "truncated": True}
    assert body == (missing if size else {"size": 0, "text": ""})
    assert result.odd == []
    where = "bodies of redirects are" if status == 302 else "bodies are"
    assert [note.partition(" not in")[0] for note in result.notes] == ([f"missing: {where}"] if size else [])


@pytest.mark.parametrize("coding", ["dcb", "gzip, dcb", "x-own", "aws-chunked", "br, " * 8 + "br"])
def test_a_coding_that_is_not_known_here(coding: str, response_of: Callable[..., Any]) -> None:
    body, result = response_of({"size": 2, "text": "ok"}, Content_Encoding=coding, Content_Type="text/plain")
    assert body == {"size": 2, "text": "ok"}
    assert result.one("response")["rawHeaders"] == [["Content-Type", "text/plain"]]
    assert result.odd == ["unknown-coding"]


def test_what_is_still_coded_stays_so(response_of: Callable[..., Any]) -> None:
    still = base64.b64encode(gzip.compress(b"ok")).decode()
    body, result = response_of({"size": 2, "text": still, "encoding": "base64"}, Content_Encoding="gzip")
    assert "contentEncoding" not in body
    assert result.one("response")["rawHeaders"] == [["Content-Encoding", "gzip"]]


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "rot13", "undefined", "utf-7", "nope"])
def test_what_is_no_charset_is_utf8_at_once(charset: str, response_of: Callable[..., Any]) -> None:
    """Some of Python's codecs take time that grows with the square of the text's length."""
    begun = time.process_time()
    body, _ = response_of({"text": "ü" * 300_000}, Content_Type=f"text/plain; charset={charset}")
    assert body["size"] == 600_000
    assert "charset" not in body
    assert time.process_time() - begun < 10


# ── requests ───────────────────────────────────────────────────────────────────────────────────────

PARAMS = [
    {"name": "title", "value": "hello"},
    {"name": 'f"\n', "fileName": "ü.txt", "contentType": "text/plain", "value": "file body"},
]
MULTIPART = (
    '--XX\r\nContent-Disposition: form-data; name="title"\r\n\r\nhello\r\n'
    '--XX\r\nContent-Disposition: form-data; name="f%22%0A"; filename="ü.txt"\r\nContent-Type: text/plain\r\n\r\n'
    "file body\r\n--XX--\r\n"
)


@pytest.mark.parametrize(
    ("kind", "mime", "sent"),
    [
        ("multipart/form-data; boundary=XX", "", "multipart/form-data; boundary=XX"),
        ('multipart/form-data; boundary="XX"', "", 'multipart/form-data; boundary="XX"'),
        ("multipart/form-data", "multipart/form-data; boundary=XX", "multipart/form-data; boundary=XX"),
        ("", "multipart/form-data; boundary=XX", "multipart/form-data; boundary=XX"),
    ],
)
def test_multipart_of_params(kind: str, mime: str, sent: str, request_of: Callable[..., Any]) -> None:
    request, result = request_of({"mimeType": mime, "params": PARAMS}, kind)
    assert request["body"]["text"] == MULTIPART
    assert request["headers"]["content-type"] == sent
    assert "form-params" in result.odd


def test_multipart_without_a_boundary_gets_one(request_of: Callable[..., Any]) -> None:
    request, result = request_of(
        {"mimeType": "multipart/form-data", "params": PARAMS, "text": ""}, "multipart/form-data"
    )
    boundary = request["headers"]["content-type"].partition("boundary=")[2]
    assert boundary.startswith("----mockrec")
    assert request["body"]["text"] == MULTIPART.replace("XX", boundary)
    assert result.odd == ["form-params", "boundary"]


def test_a_boundary_that_only_the_body_has(request_of: Callable[..., Any]) -> None:
    request, result = request_of({"text": MULTIPART, "params": PARAMS}, "multipart/form-data")
    assert request["headers"]["content-type"] == "multipart/form-data; boundary=XX"
    assert request["body"]["text"] == MULTIPART
    assert result.odd == ["boundary"]


def test_a_file_that_is_not_in_the_har_is_reported(request_of: Callable[..., Any]) -> None:
    params = [{"name": "f", "fileName": "a.bin", "contentType": "application/octet-stream"}]
    request, result = request_of({"params": params}, "multipart/form-data; boundary=XX", bodySize=5000)
    assert (request["body"]["size"], request["body"]["truncated"]) == (5000, True)
    assert result.problems == [
        "uploaded files are not in the HAR, and the requests' bodies are marked truncated "
        "(1 time, first in entries[0].request.postData.params: a.bin)"
    ]


@pytest.mark.parametrize(
    ("post_data", "kind", "body", "odd"),
    [
        ({"params": [{"name": "a", "value": "1 2"}, {"name": "b", "value": None}, {"name": "c", "value": 5}, 7]},
         "application/x-www-form-urlencoded", "a=1+2&b=&c=5&=", ["form-params"]),
        # Reqable
        ({"text": "YT0x", "encoding": "base64"}, "application/x-www-form-urlencoded", "a=1", []),
        ({"text": {"a": 1}}, "application/json", '{"a":1}', ["body-form"]),
        ("a=1", "text/plain", "a=1", ["body-form"]),
        ({"text": "a=1", "mimeType": "text/plain"}, "", "a=1", ["content-type"]),
        (None, "", "", []),
    ],
)  # fmt: skip
def test_posted(post_data: Any, kind: str, body: str, odd: list[str], request_of: Callable[..., Any]) -> None:
    request, result = request_of(post_data, kind)
    assert request["body"] == {"size": len(body), "text": body}
    assert result.odd == odd


def test_messages_of_websockets(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    messages = [
        {"type": "send", "time": 1795166131, "opcode": 2, "data": PLAIN.rstrip("=")},
        {"type": "send", "time": 1795166131, "opcode": 2, "data": "?"},
        {"type": "receive", "time": 1795166131, "opcode": 1, "data": None},
        "hello",
    ]
    result = read(entry(request={"url": "ws://a.test/"}, response={"status": 101}, _webSocketMessages=messages))
    kept = [Body.from_record(record["content"]).bytes for record in result.records if "isBinary" in record]
    assert kept == [PNG, b"?", b""]
    assert len(result.notes) == 2
    assert len(result.problems) == 1
