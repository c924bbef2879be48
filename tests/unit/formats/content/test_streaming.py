"""Content codings undone in pieces give what they give at once."""

from __future__ import annotations

import random
import zlib

import pytest

from mockrec.formats.content.codings import UndecodableError, decode, encode
from mockrec.formats.content.streaming import ContentDecoder

DATA = random.Random(1).randbytes(30_000) * 3


@pytest.mark.parametrize(
    "codings", [["gzip"], ["x-gzip"], ["deflate"], ["br"], ["zstd"], ["gzip", "br"], ["deflate", "zstd"]]
)
@pytest.mark.parametrize("size", [1, 100, 5000, 1_000_000])
def test_in_pieces(codings: list[str], size: int) -> None:
    packed = encode(DATA, codings)
    decoder = ContentDecoder(codings)
    assert decoder.complete
    out = b"".join(decoder.feed(packed[start : start + size]) for start in range(0, len(packed), size))
    assert out == DATA == decode(packed, codings, len(DATA))[0]
    assert decoder.complete


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members(name: str) -> None:
    packed = encode(b"one", [name]) + encode(b"two", [name])
    decoder = ContentDecoder([name])
    assert decoder.feed(packed[:5]) + decoder.feed(packed[5:]) == b"onetwo"


def test_raw_deflate() -> None:
    engine = zlib.compressobj(wbits=-15)
    packed = engine.compress(DATA) + engine.flush()
    decoder = ContentDecoder(["deflate"])
    assert decoder.feed(packed) == DATA
    assert decoder.feed(b"behind the end") == b""


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_what_breaks_off_or_is_none(name: str) -> None:
    decoder = ContentDecoder([name])
    decoder.feed(encode(DATA, [name])[:-5])
    assert not decoder.complete
    with pytest.raises(UndecodableError):
        ContentDecoder([name]).feed(b"\xff" * 5000)


def test_an_unknown_coding() -> None:
    with pytest.raises(UndecodableError, match="unknown content coding"):
        ContentDecoder(["gzip", "rot13"])
