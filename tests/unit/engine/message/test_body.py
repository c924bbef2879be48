"""Bodies: all bytes counted, the first ones kept, decoded on demand."""

from __future__ import annotations

import gzip

import pytest

from mockrec.engine.message.body import MessageBody
from mockrec.formats.content.codings import UndecodableError


def body_of(*pieces: bytes, limit: int = 100) -> MessageBody:
    body = MessageBody(limit)
    for piece in pieces:
        body.add(piece)
    return body


def test_a_new_body_is_empty_and_not_complete() -> None:
    body = MessageBody(100)
    assert (body.size, body.kept, body.truncated, body.complete, body.trailers) == (0, b"", False, False, ())
    assert body.decoded("") == b""


def test_pieces_are_joined() -> None:
    body = body_of(b"ab", b"", b"c")
    assert (body.size, body.kept) == (3, b"abc")
    body.add(b"d")
    assert body.kept == body.kept == b"abcd"


@pytest.mark.parametrize(
    ("pieces", "limit", "kept", "truncated"),
    [
        ((b"abcd",), 4, b"abcd", False),
        ((b"abcde",), 4, b"abcd", True),
        ((b"ab", b"cd"), 4, b"abcd", False),
        ((b"abc", b"de"), 4, b"abcd", True),
        ((b"ab", b"cdef", b"gh"), 4, b"abcd", True),
        ((b"abcd", b"e"), 4, b"abcd", True),
        ((b"abcd", b""), 4, b"abcd", False),
        ((b"a",), 0, b"", True),
        ((), 0, b"", False),
    ],
)
def test_only_the_first_bytes_are_kept(pieces: tuple[bytes, ...], limit: int, kept: bytes, truncated: bool) -> None:
    body = body_of(*pieces, limit=limit)
    assert (body.kept, body.truncated) == (kept, truncated)
    assert body.size == sum(map(len, pieces))


def test_bytes_over_the_limit_take_no_memory() -> None:
    body = body_of(*[b"x" * 50] * 10, limit=60)
    assert sum(map(len, body._chunks)) == 60


def test_content_codings_are_undone() -> None:
    data = gzip.compress(b"hello")
    assert body_of(data[:5], data[5:]).decoded("gzip") == b"hello"
    assert body_of(data).decoded("identity") == data


def test_a_body_without_bytes_is_empty_in_any_coding() -> None:
    assert MessageBody(100).decoded("gzip") == b""


def test_a_truncated_body_cannot_be_decoded() -> None:
    with pytest.raises(UndecodableError, match=r"the body has 5 bytes, of which record\.maxBodySize keeps 4"):
        body_of(b"abcde", limit=4).decoded("")


def test_a_body_without_its_declared_coding_cannot_be_decoded() -> None:
    with pytest.raises(UndecodableError):
        body_of(b"hello").decoded("gzip")
    with pytest.raises(UndecodableError, match="rot13"):
        body_of(b"hello").decoded("rot13")


def test_a_body_that_is_longer_than_the_limit_when_decoded_cannot_be_decoded() -> None:
    bomb = gzip.compress(bytes(1_000_000))
    with pytest.raises(UndecodableError, match="longer than"):
        body_of(bomb, limit=len(bomb)).decoded("gzip")


# ── held until it is known who wants it ────────────────────────────────────────────────────────────


def held(*pieces: bytes, limit: int = 4) -> MessageBody:
    body = MessageBody(limit, holds=True)
    for piece in pieces:
        body.add(piece)
    return body


@pytest.mark.parametrize(
    ("pieces", "kept", "truncated"),
    [
        ((), b"", False),
        ((b"ab", b"c"), b"abc", False),
        ((b"abcd",), b"abcd", False),
        ((b"abcdef",), b"abcd", True),
        ((b"abc", b"def", b"ghi"), b"abcd", True),
    ],
)
def test_a_held_body_shows_no_more_than_its_limit(pieces: tuple[bytes, ...], kept: bytes, truncated: bool) -> None:
    body = held(*pieces)
    assert (body.kept, body.truncated, body.size) == (kept, truncated, sum(map(len, pieces)))
    body.release()
    assert (body.kept, body.truncated, body.size) == (kept, truncated, sum(map(len, pieces)))


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("pieces", [(), (b"ab",), (b"abcd",), (b"ab", b"cd", b"ef"), (b"abcdef", b"g")])
def test_release_returns_everything_that_has_arrived(pieces: tuple[bytes, ...], looked_at: bool) -> None:
    body = held(*pieces)
    if looked_at:
        assert body.kept == b"".join(pieces)[:4]
    assert b"".join(body.release()) == b"".join(pieces)
    assert b"".join(body.release()) == b"".join(pieces)[:4]


@pytest.mark.parametrize("before", [b"", b"ab", b"abcd", b"abcdef"])
def test_after_release_only_the_first_bytes_are_kept(before: bytes) -> None:
    body = held(before)
    released = body.release()
    body.add(b"xyz")
    body.add(b"w" * 1000)
    assert b"".join(released) == before
    whole = before + b"xyz" + b"w" * 1000
    assert (body.kept, body.size, body.truncated) == (whole[:4], len(whole), True)
    assert sum(map(len, body._chunks)) == 4


def test_the_released_list_belongs_to_the_caller() -> None:
    body = held(b"ab")
    body.release().append(b"cd")
    body.release().append(b"cd")
    assert body.kept == b"ab"


def test_a_held_body_over_the_limit_is_not_decoded() -> None:
    with pytest.raises(UndecodableError, match="the body has 5 bytes"):
        held(b"abcde").decoded("")
