"""Bodies of other tools, in whatever form they are written."""

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
def answered(entry: Callable[..., Record], read: Callable[..., Any]) -> Callable[..., tuple[Record, Any]]:
    """The body of an answer with this content, and what was read."""

    def read_it(content: Any, *, status: int = 200, method: str = "GET", **headers: str) -> tuple[Record, Any]:
        fields = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
        made = entry(request={"method": method}, response={"status": status, "headers": fields})
        made["response"]["content"] = content
        told = read(made)
        assert told.problems == []
        return told.one("response")["body"], told

    return read_it


@pytest.fixture
def posted(entry: Callable[..., Record], read: Callable[..., Any]) -> Callable[..., tuple[Record, Any]]:
    """A POST with this postData, and what was read."""

    def read_it(post_data: Any, kind: str = "", **request: Any) -> tuple[Record, Any]:
        headers = [{"name": "Content-Type", "value": kind}] if kind else []
        told = read(entry(request={"method": "POST", "headers": headers, "postData": post_data, **request}))
        return told.one("request"), told

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
def test_base64(text: str, encoding: str | None, odd: list[str], answered: Callable[..., Any]) -> None:
    content = {"size": len(PNG), "mimeType": "image/png", "text": text}
    body, told = answered(content if encoding is None else {**content, "encoding": encoding})
    assert Body.from_record(body).bytes == PNG
    assert told.odd == odd


@pytest.mark.parametrize(
    ("text", "size", "mime"),
    [
        # Firefox (bug 1762313): marked by its type, written as it is
        ('{"a": 1}', 8, "application/octet-stream"),
        ("<p>ü</p>", 9, "text/html"),
        # letters alone, which could be base64: the size says that they are not
        ("okay", 4, "text/plain"),
        ("ok", 2, ""),
        # somebody has taken it out
        ("MANUALLY REMOVED", 1096, "image/gif"),
    ],
)
def test_what_is_said_to_be_base64_and_is_not(text: str, size: int, mime: str, answered: Callable[..., Any]) -> None:
    body, told = answered({"size": size, "mimeType": mime, "text": text, "encoding": "base64"})
    assert body == {"size": len(text.encode()), "text": text}
    assert told.odd == ["no-base64"]


def test_base64_of_a_text_is_the_text(answered: Callable[..., Any]) -> None:
    """Splash and others write everything so."""
    body, told = answered({"size": 2, "mimeType": "text/html", "text": "b2s=", "encoding": "base64"})
    assert (body, told.odd) == ({"size": 2, "text": "ok"}, [])


def test_a_size_that_is_that_of_the_base64_changes_nothing(answered: Callable[..., Any]) -> None:
    body, _ = answered({"size": len(PLAIN), "mimeType": "image/png", "text": PLAIN, "encoding": "base64"})
    assert Body.from_record(body).bytes == PNG


def test_bytes_with_a_character_each(answered: Callable[..., Any]) -> None:
    """ProxyPin before 1.2.9."""
    body, told = answered({"size": len(PNG), "mimeType": "image/png", "text": PNG.decode("latin-1")})
    assert Body.from_record(body).bytes == PNG
    assert told.odd == ["bytes-as-text"]


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
def test_forms(content: Any, kept: str, odd: list[str], answered: Callable[..., Any]) -> None:
    body, told = answered(content)
    assert (body, told.odd) == ({"size": len(kept), "text": kept}, odd)


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
    content: Any, status: int, method: str, size: int, answered: Callable[..., Any]
) -> None:
    body, told = answered(content, status=status, method=method, Content_Length="7")
    missing = {"size": size, "text": "", "truncated": True}
    assert body == (missing if size else {"size": 0, "text": ""})
    assert told.odd == []
    where = "bodies of redirects are" if status == 302 else "bodies are"
    assert [note.partition(" not in")[0] for note in told.notes] == ([f"missing: {where}"] if size else [])


@pytest.mark.parametrize("coding", ["dcb", "gzip, dcb", "x-own", "aws-chunked", "br, " * 8 + "br"])
def test_a_coding_that_is_not_known_here(coding: str, answered: Callable[..., Any]) -> None:
    body, told = answered({"size": 2, "text": "ok"}, Content_Encoding=coding, Content_Type="text/plain")
    assert body == {"size": 2, "text": "ok"}
    assert told.one("response")["rawHeaders"] == [["Content-Type", "text/plain"]]
    assert told.odd == ["unknown-coding"]


def test_what_is_still_coded_stays_so(answered: Callable[..., Any]) -> None:
    still = base64.b64encode(gzip.compress(b"ok")).decode()
    body, told = answered({"size": 2, "text": still, "encoding": "base64"}, Content_Encoding="gzip")
    assert "contentEncoding" not in body
    assert told.one("response")["rawHeaders"] == [["Content-Encoding", "gzip"]]


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "rot13", "undefined", "utf-7", "nope"])
def test_what_is_no_charset_is_utf8_at_once(charset: str, answered: Callable[..., Any]) -> None:
    """Some of Python's own codecs take time that grows with the square of the text."""
    begun = time.process_time()
    body, _ = answered({"text": "ü" * 300_000}, Content_Type=f"text/plain; charset={charset}")
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
def test_multipart_of_params(kind: str, mime: str, sent: str, posted: Callable[..., Any]) -> None:
    request, told = posted({"mimeType": mime, "params": PARAMS}, kind)
    assert request["body"]["text"] == MULTIPART
    assert request["headers"]["content-type"] == sent
    assert "form-params" in told.odd


def test_multipart_without_a_boundary_gets_one(posted: Callable[..., Any]) -> None:
    request, told = posted({"mimeType": "multipart/form-data", "params": PARAMS, "text": ""}, "multipart/form-data")
    boundary = request["headers"]["content-type"].partition("boundary=")[2]
    assert boundary.startswith("----mockrec")
    assert request["body"]["text"] == MULTIPART.replace("XX", boundary)
    assert told.odd == ["form-params", "boundary"]


def test_a_boundary_that_only_the_body_has(posted: Callable[..., Any]) -> None:
    request, told = posted({"text": MULTIPART, "params": PARAMS}, "multipart/form-data")
    assert request["headers"]["content-type"] == "multipart/form-data; boundary=XX"
    assert request["body"]["text"] == MULTIPART
    assert told.odd == ["boundary"]


def test_a_file_that_is_not_in_the_har_is_told(posted: Callable[..., Any]) -> None:
    params = [{"name": "f", "fileName": "a.bin", "contentType": "application/octet-stream"}]
    request, told = posted({"params": params}, "multipart/form-data; boundary=XX", bodySize=5000)
    assert (request["body"]["size"], request["body"]["truncated"]) == (5000, True)
    assert told.problems == [
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
def test_posted(post_data: Any, kind: str, body: str, odd: list[str], posted: Callable[..., Any]) -> None:
    request, told = posted(post_data, kind)
    assert request["body"] == {"size": len(body), "text": body}
    assert told.odd == odd


def test_messages_of_websockets(entry: Callable[..., Any], read: Callable[..., Any]) -> None:
    messages = [
        {"type": "send", "time": 1795166131, "opcode": 2, "data": PLAIN.rstrip("=")},
        {"type": "send", "time": 1795166131, "opcode": 2, "data": "?"},
        {"type": "receive", "time": 1795166131, "opcode": 1, "data": None},
        "hello",
    ]
    told = read(entry(request={"url": "ws://a.test/"}, response={"status": 101}, _webSocketMessages=messages))
    kept = [Body.from_record(record["content"]).bytes for record in told.records if "isBinary" in record]
    assert kept == [PNG, b"?", b""]
    assert len(told.notes) == 2
    assert len(told.problems) == 1
