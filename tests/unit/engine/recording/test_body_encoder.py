"""The log forms of bodies."""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from typing import Any

import pytest

from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyEncoder, BodySnapshot
from mockrec.engine.recording.exchange_records import trailer_fields
from mockrec.formats.content import codings as content
from mockrec.formats.schema.body import Body as LoggedBody

GZIP = {"content-encoding": "gzip"}
PACKED = gzip.compress(b"hello", mtime=0)  # without the time, so that the names of tests are the same in every process


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def logged(
    data: bytes,
    headers: dict[str, Any] | None = None,
    *,
    mode: str = "decoded",
    limit: int = 1000,
    incomplete: bool = False,
    kept: int | None = None,
) -> dict[str, Any]:
    """The form of a body of which `kept` bytes are there."""
    body = MessageBody(limit if kept is None else kept)
    body.add(data)
    return BodyEncoder(mode, limit).snapshot(BodySnapshot(body), headers or {}, incomplete=incomplete)


@pytest.mark.parametrize("mode", ["decoded", "raw", "both"])
def test_an_empty_body(mode: str) -> None:
    assert logged(b"", GZIP, mode=mode) == {"size": 0, "text": ""} == EMPTY_BODY
    assert BodyEncoder(mode, 10).whole(b"", GZIP) == EMPTY_BODY
    assert logged(b"", incomplete=True) == {"size": 0, "text": "", "incomplete": True}
    assert "incomplete" not in EMPTY_BODY


@pytest.mark.parametrize("mode", ["decoded", "raw", "both"])
@pytest.mark.parametrize(
    ("data", "form"),
    [
        ("hello ö €".encode(), {"text": "hello ö €"}),
        (b"a\x00b", {"text": "a\x00b"}),
        (b"\xff\x00", {"base64": "/wA="}),
        (b"\xed\xa0\x80", {"base64": "7aCA"}),
        ("ö".encode()[:1], {"base64": "ww=="}),
    ],
)
def test_utf_8_is_text_and_other_bytes_are_base64(mode: str, data: bytes, form: dict[str, Any]) -> None:
    assert logged(data, mode=mode) == {"size": len(data), **form}
    assert BodyEncoder(mode, 1000).whole(data, {}) == {"size": len(data), **form}
    assert BodyEncoder(mode, 1000).chunk(data) == {"size": len(data), **form}


@pytest.mark.parametrize(
    ("content_type", "data", "form"),
    [
        ("text/plain; charset=iso-8859-1", b"\xf6", {"text": "ö", "charset": "iso-8859-1"}),
        ('text/plain; charset="Shift_JIS"', "日本".encode("shift_jis"), {"text": "日本", "charset": "Shift_JIS"}),
        ("text/plain; charset=utf-16", "ö".encode("utf-16"), {"text": "ö", "charset": "utf-16"}),
        ("text/plain; charset=iso-8859-1", "ö".encode(), {"text": "ö"}),
        ("text/plain; charset=utf-8", b"\xf6", {"base64": "9g=="}),
        ("text/plain; charset=no-such", b"\xf6", {"base64": "9g=="}),
        ("text/plain; charset=idna", b"\xf6", {"base64": "9g=="}),
        ("text/plain; charset=raw_unicode_escape", b"\xf6", {"base64": "9g=="}),
        ("text/plain; charset=hex", b"\xf6", {"base64": "9g=="}),
        ("text/plain; charset=ascii", b"\xf6", {"base64": "9g=="}),
        ("text/plain", b"\xf6", {"base64": "9g=="}),
        (["text/plain; charset=iso-8859-1"], b"\xf6", {"base64": "9g=="}),
    ],
)
def test_other_charsets_are_converted_where_that_loses_nothing(
    content_type: Any, data: bytes, form: dict[str, Any]
) -> None:
    record = logged(data, {"content-type": content_type})
    assert record == {"size": len(data), **form}
    assert LoggedBody.from_record(record, None).bytes == data


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [
        ("gzip", PACKED),
        ("X-GZIP", PACKED),
        ("deflate", zlib.compress(b"hello")),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0)),
    ],
)
def test_content_encodings_are_undone(encoding: str, wire: bytes) -> None:
    headers = {"content-encoding": encoding}
    decoded = {"size": 5, "text": "hello", "contentEncoding": encoding, "encodedSize": len(wire)}
    assert logged(wire, headers) == decoded
    assert logged(wire, headers, mode="both") == {**decoded, "raw": b64(wire)}
    raw = logged(wire, headers, mode="raw")
    assert raw == {"size": len(wire), "base64": b64(wire)}


def test_identity_is_not_a_content_coding() -> None:
    assert logged(b"hello", {"content-encoding": "identity"}) == {"size": 5, "text": "hello"}


def test_charset_inside_an_encoding() -> None:
    headers = {**GZIP, "content-type": "text/plain; charset=latin-1"}
    record = logged(gzip.compress(b"\xf6"), headers)
    assert (record["text"], record["charset"], record["contentEncoding"]) == ("ö", "latin-1", "gzip")


@pytest.mark.parametrize("mode", ["decoded", "both"])
@pytest.mark.parametrize(("encoding", "wire"), [("gzip", b"no gzip"), ("unheard-of", b"abc"), ("gzip", PACKED[:-4])])
def test_a_body_that_cannot_be_decoded_keeps_its_bytes(mode: str, encoding: str, wire: bytes) -> None:
    record = logged(wire, {"content-encoding": encoding}, mode=mode)
    assert record["undecodable"] is True
    assert record["size"] == len(wire)
    assert LoggedBody.from_record(record, None).bytes == wire
    assert "contentEncoding" not in record


def test_an_incomplete_body_is_decoded_as_far_as_it_arrived() -> None:
    wire = zlib.compress(bytes(range(256)) * 8)
    record = logged(wire[: len(wire) // 2], {"content-encoding": "deflate"}, incomplete=True, limit=5000)
    assert record["incomplete"] is True
    assert "truncated" not in record
    assert "undecodable" not in record
    assert record["encodedSize"] == len(wire) // 2


@pytest.mark.parametrize("size", [999, 1000, 1001, 5000])
def test_a_body_over_the_limit_is_truncated(size: int) -> None:
    data = b"x" * size
    encoder = BodyEncoder("decoded", 1000)
    body = MessageBody(1000)
    body.add(data)
    for record in (encoder.snapshot(BodySnapshot(body), {}), encoder.whole(data, {}), encoder.chunk(data)):
        assert record["size"] == size
        assert record["text"] == "x" * min(size, 1000)
        assert record.get("truncated") == (True if size > 1000 else None)
    assert encoder.truncated == (3 if size > 1000 else 0)


@pytest.mark.parametrize("limit", range(8))
def test_a_cut_inside_a_character_leaves_text(limit: int) -> None:
    data = "a€b€".encode()
    record = BodyEncoder("decoded", limit).whole(data, {})
    assert record["text"] == data[:limit].decode(errors="ignore")
    assert record["truncated"] is True
    assert record["size"] == len(data)


def test_a_decoded_body_that_is_longer_than_the_limit() -> None:
    wire = gzip.compress(b"x" * 5000)
    encoder = BodyEncoder("decoded", 1000)
    record = encoder.whole(wire, GZIP)
    assert record["text"] == "x" * 1000
    assert record["truncated"] is True
    assert record["encodedSize"] == len(wire)
    assert encoder.truncated == 1


def test_a_truncated_body_with_a_coding_is_counted_once() -> None:
    wire = gzip.compress(b"".join(b"%d " % number for number in range(2000)))
    encoder = BodyEncoder("both", 1000)
    body = MessageBody(1000)
    body.add(wire)
    record = encoder.snapshot(BodySnapshot(body), GZIP)
    assert record["truncated"] is True
    assert record["text"].startswith("0 1 2 3 ")
    assert record["encodedSize"] == len(wire)
    assert base64.b64decode(record["raw"]) == wire[:1000]
    assert encoder.truncated == 1


def test_trailers() -> None:
    assert trailer_fields(()) == {}
    assert trailer_fields([["A", "1"], ["a", "2"]]) == {
        "trailers": {"a": "1, 2"},
        "rawTrailers": [["A", "1"], ["a", "2"]],
    }


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_the_size_is_that_of_the_whole_body_when_not_all_of_it_is_kept(coding: str) -> None:
    body = random.Random(1).randbytes(200) * 1000  # 200,000 bytes, in less than 100 times fewer
    noise = random.Random(2).randbytes(2000)
    encoded = content.encode(body + noise, [coding])
    encoder = BodyEncoder("decoded", 1000)
    record = encoder.whole(encoded, {"content-encoding": coding})
    assert (record["size"], record["encodedSize"]) == (202_000, len(encoded))
    assert record["truncated"] is True and len(base64.b64decode(record["base64"])) == 1000
    assert encoder.truncated == 1


def test_counting_ends_at_the_longest_possible_body() -> None:
    bomb = content.encode(bytes(50_000_000), ["gzip"])
    record = BodyEncoder("decoded", 1000).whole(bomb, {"content-encoding": "gzip"})
    assert record["size"] == 1000 + 8 * 1024 * 1024
