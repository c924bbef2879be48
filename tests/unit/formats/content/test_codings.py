"""Content codings: what is undone, what is refused, and how much is unfolded at most."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from mockrec.formats.content import codings
from mockrec.formats.content.codings import UndecodableError, UnencodableError, codings_of, decode, encode

KIB = 1024
NOISE = random.Random(1).randbytes(100 * KIB)
TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
EVERY_CODING = pytest.mark.parametrize("coding", list(ENCODERS))


def undone(data: bytes, *codings: str) -> bytes:
    """All of the decoded bytes."""
    decoded, whole = decode(data, list(codings), 1 << 20)
    assert whole
    return decoded


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("", []),
        ("identity", []),
        ("gzip", ["gzip"]),
        (" GZip ,\tBR,identity, zstd", ["gzip", "br", "zstd"]),
        ("none, utf-8, text, binary, utf8, amz-1.0, ,", []),
        ("rot13", ["rot13"]),
    ],
)
def test_the_header_names_codings_in_the_order_applied(header: str, codings: list[str]) -> None:
    assert codings_of(header) == codings


@EVERY_CODING
@pytest.mark.parametrize("text", [b"", b"a", TEXT, NOISE])
def test_every_coding_is_undone(coding: str, text: bytes) -> None:
    assert undone(ENCODERS[coding](text), coding) == text


@pytest.mark.parametrize("coding", ["deflate", "x-deflate"])
@pytest.mark.parametrize("encode", [zlib.compress, raw_deflate])
def test_deflate_comes_with_and_without_its_wrapper(coding: str, encode: Callable[[bytes], bytes]) -> None:
    assert undone(encode(TEXT), coding) == TEXT


@pytest.mark.parametrize("level", range(10))
def test_deflate_is_told_apart_at_every_level(level: int) -> None:
    assert undone(zlib.compress(TEXT, level), "deflate") == TEXT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_follow_one_another(coding: str) -> None:
    encode = ENCODERS[coding]
    assert undone(encode(b"one ") + encode(b"") + encode(TEXT) + encode(b" end"), coding) == b"one " + TEXT + b" end"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_beyond_number_are_refused(coding: str) -> None:
    empty = ENCODERS[coding](b"")
    assert undone(empty * 10_000, coding) == b""
    with pytest.raises(UndecodableError, match="more than 10000 members"):
        decode(empty * 10_001, [coding], 1 << 20)


def test_several_codings_are_undone_from_the_last_to_the_first() -> None:
    data = TEXT
    for coding in ENCODERS:
        data = ENCODERS[coding](data)
    assert undone(data, *ENCODERS) == TEXT
    with pytest.raises(UndecodableError):
        decode(data, list(ENCODERS)[::-1], 1 << 20)


def test_too_many_codings_are_refused() -> None:
    data = TEXT
    for _ in range(8):
        data = gzip.compress(data)
    assert undone(data, *["gzip"] * 8) == TEXT
    with pytest.raises(UndecodableError, match="more than 8 content codings"):
        decode(gzip.compress(data), ["gzip"] * 9, 1 << 20)


def test_no_coding_leaves_the_bytes() -> None:
    assert decode(TEXT, [], 1 << 20) == (TEXT, True)


@EVERY_CODING
def test_an_empty_body_is_empty_in_any_coding(coding: str) -> None:
    assert decode(b"", [coding], 1 << 20) == (b"", True)


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(UndecodableError, match='unknown content coding "rot13"'):
        decode(TEXT, ["rot13"], 1 << 20)


@EVERY_CODING
def test_data_that_breaks_off_is_refused_unless_it_was_cut(coding: str) -> None:
    data = ENCODERS[coding](TEXT)
    for length in range(1, len(data)):
        with pytest.raises(UndecodableError, match=f"the {coding} data breaks off"):
            decode(data[:length], [coding], 1 << 20)
        decoded, whole = decode(data[:length], [coding], 1 << 20, whole=False)
        assert not whole
        assert TEXT.startswith(decoded)


def test_a_last_coding_that_was_cut_excuses_the_ones_before() -> None:
    data = gzip.compress(raw_deflate(NOISE))
    decoded, whole = decode(data[: len(data) // 2], ["deflate", "gzip"], 1 << 20, whole=False)
    assert not whole
    assert NOISE.startswith(decoded)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("garbage", [b"\x00garbage", b"\xff" * 50, b"{}"])
def test_garbage_is_refused(coding: str, garbage: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(garbage, [coding], 1 << 20)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_garbage_behind_the_data_is_refused(coding: str) -> None:
    with pytest.raises(UndecodableError):
        decode(ENCODERS[coding](TEXT) + b"garbage", [coding], 1 << 20)


def test_gzip_is_not_deflate() -> None:
    with pytest.raises(UndecodableError):
        decode(zlib.compress(TEXT), ["gzip"], 1 << 20)
    with pytest.raises(UndecodableError):
        decode(gzip.compress(TEXT), ["deflate"], 1 << 20)


def test_bytes_behind_deflate_data_are_left_out_as_browsers_do() -> None:
    assert undone(zlib.compress(TEXT) + zlib.compress(b"more"), "deflate") == TEXT


@EVERY_CODING
def test_a_bit_that_fell_over_gives_no_other_error(coding: str) -> None:
    data = ENCODERS[coding](TEXT)
    refusals = []
    for at in range(len(data)):
        try:
            decode(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :], [coding], 1 << 20)
        except UndecodableError as error:
            refusals.append(str(error))
    assert refusals
    assert all(refusals)


@EVERY_CODING
def test_a_bomb_is_cut_at_the_limit(coding: str) -> None:
    bomb = ENCODERS[coding](bytes(16 << 20))
    decoded, whole = decode(bomb, [coding], 10_000)
    assert (len(decoded), whole) == (min(10_000 + 64 * KIB, max(len(bomb) * 200, 1024 * KIB)), False)
    assert not any(decoded)


@EVERY_CODING
def test_a_bomb_is_cut_at_200_times_its_size(coding: str) -> None:
    bomb = ENCODERS[coding](bytes(16 << 20))
    decoded, whole = decode(bomb, [coding], 1 << 30)
    assert (len(decoded), whole) == (max(200 * len(bomb), 1024 * KIB), False)


def test_a_bomb_in_a_bomb_is_cut() -> None:
    data = bytes(16 << 20)
    for _ in range(3):
        data = gzip.compress(data)
    decoded, whole = decode(data, ["gzip"] * 3, 1 << 20)
    assert len(decoded) <= 1024 * KIB
    assert not whole


@EVERY_CODING
def test_an_ordinary_text_that_repeats_itself_is_whole(coding: str) -> None:
    """Packed to less than a two-hundredth, as a table of zeros or a page of blanks is."""
    text = b'{"value":0,"unit":"kg"},' * 20_000
    packed = ENCODERS[coding](text)
    assert len(packed) * 200 < len(text)
    assert decode(packed, [coding], 10 << 20) == (text, True)


@EVERY_CODING
@pytest.mark.parametrize(("extra", "whole"), [(0, True), (1, False)])
def test_the_limit_is_exact(coding: str, extra: int, whole: bool) -> None:
    text = NOISE[: 10_000 + 64 * KIB + extra]
    decoded, complete = decode(ENCODERS[coding](text), [coding], 10_000)
    assert complete is whole
    assert decoded == text[: 10_000 + 64 * KIB]


# ── the other way ──────────────────────────────────────────────────────────────────────────────────


@EVERY_CODING
@pytest.mark.parametrize("text", [b"", b"a", TEXT, NOISE])
def test_what_is_encoded_can_be_decoded(coding: str, text: bytes) -> None:
    data = encode(text, [coding])
    assert data != text
    assert undone(data, coding) == text


def test_several_codings_are_applied_from_the_first_to_the_last() -> None:
    data = encode(TEXT, ["deflate", "gzip"])
    assert zlib.decompress(gzip.decompress(data)) == TEXT
    assert undone(encode(TEXT, list(ENCODERS)), *ENCODERS) == TEXT


def test_no_coding_leaves_the_same_bytes() -> None:
    assert encode(TEXT, []) is TEXT


@EVERY_CODING
def test_the_same_bytes_are_encoded_alike(coding: str) -> None:
    assert encode(TEXT, [coding]) == encode(TEXT, [coding])
    assert len(encode(TEXT, [coding])) < len(TEXT) / 4


def test_gzip_has_no_time_in_it() -> None:
    assert encode(TEXT, ["gzip"])[4:8] == bytes(4)


def test_deflate_is_sent_with_its_wrapper() -> None:
    assert zlib.decompress(encode(TEXT, ["deflate"])) == TEXT


def test_an_unknown_coding_and_too_many_are_not_applied() -> None:
    with pytest.raises(UnencodableError, match='unknown content coding "rot13"'):
        encode(TEXT, ["gzip", "rot13"])
    with pytest.raises(UnencodableError, match="more than 8 content codings"):
        encode(TEXT, ["gzip"] * 9)


def test_what_can_be_decoded_can_be_encoded() -> None:
    assert set(codings._ENCODERS) == codings.CODINGS
