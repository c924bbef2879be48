"""The encoded log forms of bodies that come again."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording import repeated_bodies
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.repeated_bodies import RepeatedBodies
from mockrec.engine.redaction.redactor import Redactor

TEXT = {"content-type": "text/plain"}
LONG = b"a line of a long text\n" * 400


def bodies(mode: str = "decoded", limit: int = 100_000, most: int | None = None) -> BodyEncoder:
    redactor = Redactor.of("default", {}, key=b"k" * 32)
    assert redactor is not None
    redactor.most = most
    return BodyEncoder(mode, limit, redactor)


def texts(repeated: RepeatedBodies, *data: bytes, headers: dict[str, Any] | None = None) -> list[bytes | None]:
    return [repeated.text(one, TEXT if headers is None else headers, "request") for one in data]


def test_a_body_is_made_when_it_comes_again_and_then_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, made = bodies(), []
    whole = encoder.whole
    monkeypatch.setattr(encoder, "whole", lambda *more: made.append(more) or whole(*more))
    repeated = RepeatedBodies(encoder)
    assert texts(repeated, LONG) == [None]
    assert not made
    again = texts(repeated, LONG, bytes(bytearray(LONG)), LONG)
    assert [orjson.loads(text or b"") for text in again] == [{"size": len(LONG), "text": LONG.decode()}] * 3
    assert len(made) == 1


@pytest.mark.parametrize("mode", ["decoded", "raw", "both"])
@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (LONG, TEXT),
        (b"\x89PNG\0\xff" * 40, {"content-type": "image/png"}),
        (("ab\0\x1f" * 100).encode("utf-16"), {"content-type": "application/octet-stream"}),
        ("Grüße".encode("latin-1"), {"content-type": "text/plain; charset=iso-8859-1"}),
        ("Grüße".encode("utf-16"), {}),
    ],
)
def test_it_is_the_form_that_is_made_of_each(mode: str, data: bytes, headers: dict[str, Any]) -> None:
    repeated = RepeatedBodies(bodies(mode))
    texts(repeated, data, headers=headers)
    expected = orjson.dumps(bodies(mode).whole(data, headers, "request"))
    assert texts(repeated, data, data, headers=headers) == [expected, expected]


@pytest.mark.parametrize(
    "data",
    [
        b'{"password": "hunter2-hunter2"}',
        b"a" * 3_000,  # longer than the limit of the log
        b'"Password:" is no secret here' + b"." * 900,  # too long to be searched at once
    ],
)
def test_a_body_that_needs_a_form_of_its_own_is_made_once_in_vain(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, made = bodies(limit=2_000, most=500), []
    assert encoder.redactor is not None
    whole = encoder.whole
    monkeypatch.setattr(encoder, "whole", lambda *more: made.append(more) or whole(*more))
    repeated = RepeatedBodies(encoder)
    assert texts(repeated, data, data, data, data[:60] + b"!" + data[61:]) == [None] * 4
    assert len(made) == 1
    assert (encoder.truncated, encoder.redactor.count) == (0, 0)


def test_bodies_that_differ_in_the_middle_are_told_apart() -> None:
    repeated = RepeatedBodies(bodies())
    counted = [b"%b %d %b" % (b"a" * 60, number, b"b" * 60) for number in range(5)]
    found = texts(repeated, *counted, *counted)
    assert found[0] is None
    assert [orjson.loads(text)["text"].encode() for text in found[1:] if text is not None] == [*counted[1:], *counted]


def test_the_same_bytes_of_another_side_or_type_are_another_body() -> None:
    repeated = RepeatedBodies(bodies())
    latin = {"content-type": "text/plain; charset=latin-1"}
    for headers in ({}, TEXT, latin):
        assert texts(repeated, b"\xe4", headers=headers) == [None]
    assert orjson.loads(texts(repeated, b"\xe4", headers=latin)[0] or b"")["text"] == "ä"
    assert orjson.loads(texts(repeated, b"\xe4")[0] or b"")["base64"]
    assert repeated.text(b"\xe4", {}, "response") is None


@pytest.mark.parametrize("headers", [{"content-encoding": "gzip"}, {"content-type": ["a/b", "c/d"]}])
def test_a_body_with_a_content_coding_or_two_types_is_not_kept(headers: dict[str, Any]) -> None:
    repeated = RepeatedBodies(bodies())
    assert texts(repeated, *[gzip.compress(b"abc", mtime=0)] * 4, headers=headers) == [None] * 4
    assert not repeated._kept


def test_it_is_searched_again_when_other_values_are_secret() -> None:
    encoder = bodies()
    assert encoder.redactor is not None
    repeated = RepeatedBodies(encoder)
    plain, holds = b"a" * 50, "b" * 100 + "zulu-Kx93hqPW"
    headers = {"content-type": "application/octet-stream"}
    for data in (plain, holds.encode(), holds.encode("utf-16")):
        texts(repeated, data, headers=headers)
        assert texts(repeated, data, headers=headers) != [None]
    encoder.redactor.remember_values(["zulu-Kx93hqPW"])
    for data, is_kept in ((plain, True), (holds.encode(), False), (holds.encode("utf-16"), False)):
        assert (texts(repeated, data, headers=headers) != [None]) == is_kept


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_bodies, "_MOST_BYTES", 40_000)
    monkeypatch.setattr(repeated_bodies, "_LARGEST", 20_000)
    repeated = RepeatedBodies(bodies())
    for number in range(50):
        data = b"%d " % number + b"a" * 5_000
        texts(repeated, data)
        assert orjson.loads(texts(repeated, data)[0] or b"")["size"] == len(data)
        kept = sum(len(body) + len(text or b"") for body, text in repeated._kept.values())
        assert kept <= repeated._size <= 40_000
    assert 2 <= len(repeated._kept) <= 4
    assert texts(repeated, b"50" + b"a" * 20_000) == [None]
    assert texts(repeated, b"50" + b"a" * 20_000) != [None]
    assert repeated._size < 40_000
    for number in range(200):
        texts(repeated, *[b"password=hunter2-hunter2%d" % number] * 2)
    assert repeated._size <= 40_000


@pytest.mark.parametrize(("size", "limit"), [(0, 100), (300_000, 1_000_000), (101, 100)])
def test_an_empty_body_one_of_a_file_and_one_that_was_cut_are_none_of_these(size: int, limit: int) -> None:
    repeated = RepeatedBodies(bodies())
    for _ in range(3):
        body = MessageBody(limit)
        body.add(b"a" * size)
        assert repeated.of(body, TEXT, "request") is None
    assert not repeated._kept


def test_a_body_that_arrived_in_pieces_is_whole() -> None:
    repeated = RepeatedBodies(bodies())
    for expected in (None, b'{"size":6,"text":"abcdef"}'):
        body = MessageBody(100)
        for piece in (b"ab", b"cd", b"ef"):
            body.add(piece)
        assert repeated.of(body, TEXT, "request") == expected
