"""The first bytes of a pipe, good, damaged and random, cut anywhere: sniffing, ClientHellos and SOCKS give the same
answer in every cut, decide once, never raise, and hold no more than their bounds.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine.wire.client_hello import (
    HELLO_LIMIT,
    RECORD_COUNT_LIMIT,
    ClientHello,
    NeedMore,
    NotTls,
    read_client_hello,
)
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.sniff import H2_PREFACE, SNIFF_LIMIT, sniff
from mockrec.engine.wire.socks.server import AuthMethod, SocksRequest, SocksServer

ORDINARY = settings(max_examples=200, deadline=None, derandomize=True)

HELLOS = [
    bytes.fromhex(kept["hex"])
    for kept in json.loads(
        Path(__file__).parents[1].joinpath("data", "hellos.json").read_text(encoding="utf-8")
    ).values()
]
METHODS: list[tuple[AuthMethod, ...]] = [
    ("no-auth",),
    ("no-auth", "user-password-metadata"),
    ("user-password-metadata", "no-auth"),
    ("user-password-metadata",),
]


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes, a few of them replaced, and something behind them."""
    raw = bytearray(draw(good))
    for _ in range(draw(st.integers(0, 3))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw) + draw(st.binary(max_size=8))


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[start:stop] for start, stop in pairwise(bounds)]


CUTS = st.lists(st.integers(0, 5000), max_size=12)


# ── sniffing ───────────────────────────────────────────────────────────────────────────────────────

OPENINGS = st.sampled_from(
    [H2_PREFACE, b"GET / HTTP/1.1\r\n", b"\r\nPROPPATCH / ", b"\x05\x01\x00", b"\x04\x01", b"\x16"]
)


@ORDINARY
@given(st.one_of(damaged(OPENINGS), st.binary(max_size=64)), st.booleans())
def test_sniffing_decides_once_and_soon(raw: bytes, socks: bool) -> None:
    answers = [sniff(raw[:length], socks=socks) for length in range(len(raw) + 1)]
    assert answers[0] == "more"
    decided = [answer for answer in answers if answer != "more"]
    assert len(set(decided)) <= 1
    assert answers == ["more"] * (len(answers) - len(decided)) + decided
    if len(raw) >= SNIFF_LIMIT:
        assert decided


# ── ClientHellos ───────────────────────────────────────────────────────────────────────────────────


def records(message: bytes, cuts: list[int]) -> bytes:
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces(message, cuts) if piece)


def fed(raw: bytes, cuts: list[int]) -> ClientHello | NeedMore | NotTls:
    """The answer to bytes that come in pieces, asked again for each, until it is one that stays."""
    buffer = bytearray()
    answer: ClientHello | NeedMore | NotTls = read_client_hello(buffer)
    for piece in pieces(raw, cuts):
        buffer += piece
        before = answer
        answer = read_client_hello(buffer)
        if not isinstance(before, NeedMore):
            assert answer == before, "a second answer"
        elif len(buffer) < before.size:
            assert answer == before or isinstance(answer, NotTls), "there was something new to say"
    return answer


@ORDINARY
@given(st.sampled_from(HELLOS), CUTS, CUTS, st.binary(max_size=8))
def test_a_hello_is_the_same_in_any_records_and_packets(
    raw: bytes, record_cuts: list[int], cuts: list[int], rest: bytes
) -> None:
    expected = read_client_hello(raw)
    assert isinstance(expected, ClientHello)
    split = records(raw[5:], record_cuts)
    assert isinstance(read_client_hello(split[:-1]), NeedMore)
    assert fed(split + rest, cuts) == expected


@ORDINARY
@given(
    st.one_of(
        damaged(st.sampled_from(HELLOS)),
        st.binary(max_size=64),
        st.builds(lambda body: records(b"\x01" + len(body).to_bytes(3) + body, []), st.binary(max_size=200)),
        st.builds(lambda raw: b"\x16\x03\x01" + raw, st.binary(max_size=64)),
    ),
    CUTS,
)
def test_any_bytes_have_one_answer(raw: bytes, cuts: list[int]) -> None:
    answer = fed(raw, cuts)
    assert answer == read_client_hello(raw)
    if isinstance(answer, NeedMore):
        assert len(raw) < answer.size <= HELLO_LIMIT
    elif isinstance(answer, ClientHello):
        assert len(answer.ja3) == 32
        assert len(answer.ja4) == 36
        assert answer.ja4.isascii()
        assert answer.ja4[0] == "t"


@pytest.mark.parametrize("size", [1, 2, 100, 0x4000])
def test_the_buffer_is_bounded_whatever_the_records(size: int) -> None:
    """A message that says it is long, in records of one size, fed as it is asked for."""
    record = b"\x16\x03\x01" + size.to_bytes(2) + bytes(size)
    message = b"\x01\x00\xf0\x00"
    first = records(message, [])
    endless = first + record * (2 * HELLO_LIMIT // len(record))
    asked, answer = 0, read_client_hello(b"")
    while isinstance(answer, NeedMore):
        assert answer.size <= HELLO_LIMIT
        answer = read_client_hello(endless[: answer.size])
        asked += 1
    assert asked <= 2 * RECORD_COUNT_LIMIT + 4


# ── SOCKS ──────────────────────────────────────────────────────────────────────────────────────────

PORTS = st.integers(0, 65535).map(lambda port: port.to_bytes(2))
NAMES = st.from_regex(rb"[a-z0-9.-]{1,40}", fullmatch=True)
ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4).map(lambda raw: b"\x01" + raw),
    st.binary(min_size=16, max_size=16).map(lambda raw: b"\x04" + raw),
    NAMES.map(lambda name: b"\x03" + bytes([len(name)]) + name),
)
REQUESTS5 = st.builds(lambda address, port: b"\x05\x01\x00" + address + port, ADDRESSES, PORTS)
SECRETS = st.sampled_from([b"{}", b'{"tags":["a"]}', b"e30", b"eyJ0YWdzIjpbImEiXX0", b"[", b""])
PASSWORDS = SECRETS.map(lambda secret: b"\x01\x08metadata" + bytes([len(secret)]) + secret)
SOCKS5 = st.one_of(
    st.builds(lambda request: b"\x05\x01\x00" + request, REQUESTS5),
    st.builds(lambda password, request: b"\x05\x02\x01\x02" + password + request, PASSWORDS, REQUESTS5),
)
USERS = st.binary(max_size=20).map(lambda user: user.replace(b"\0", b""))
SOCKS4 = st.one_of(
    st.builds(
        lambda port, address, user: b"\x04\x01" + port + address + user + b"\0",
        PORTS,
        st.binary(min_size=4, max_size=4),
        USERS,
    ),
    st.builds(
        lambda port, user, name: b"\x04\x01" + port + b"\0\0\0\x07" + user + b"\0" + name + b"\0", PORTS, USERS, NAMES
    ),
)

Seen = tuple[bytes, SocksRequest | Fault | None, bytes, Fault | None]


def talk(parts: list[bytes], methods: tuple[AuthMethod, ...]) -> Seen:
    server, sent, result = SocksServer(methods), b"", None
    for part in parts:
        out, news = server.receive(part)
        assert result is None or (out, news) == (b"", None), "something behind the result"
        sent += out
        result = result or news
    return sent, result, server.rest, server.receive_eof()


@ORDINARY
@given(st.one_of(damaged(SOCKS5), damaged(SOCKS4), st.binary(max_size=64)), CUTS, st.sampled_from(METHODS))
def test_socks_is_the_same_in_any_cut(raw: bytes, cuts: list[int], methods: tuple[AuthMethod, ...]) -> None:
    sent, result, rest, at_end = whole = talk([raw], methods)
    assert talk(pieces(raw, cuts), methods) == whole
    assert talk([raw[at : at + 1] for at in range(len(raw))], methods) == whole
    assert raw.endswith(rest)
    if isinstance(result, SocksRequest):
        assert result.host
        assert result.host.isascii()
        assert result.host.isprintable()
        assert len(result.accept()) == (10 if result.version == 5 else 8)
    elif isinstance(result, Fault):
        assert result.raw in raw
    assert (at_end is None) == (result is not None or not raw)
    assert len(sent) <= 2 + 2 + 10


@ORDINARY
@given(st.one_of(SOCKS4, st.builds(lambda request: b"\x05\x01\x00" + request, REQUESTS5)), st.binary(max_size=20))
def test_what_is_behind_a_good_handshake_is_handed_back(raw: bytes, rest: bytes) -> None:
    _, result, left, _ = talk([raw + rest], ("no-auth",))
    # An address of SOCKS 4 may by chance say that a name follows.
    if not (raw[0] == 4 and raw[4:7] == b"\0\0\0"):
        assert isinstance(result, SocksRequest)
        assert left == rest


@ORDINARY
@given(st.sampled_from([b"\x04\x01\0\x50\0\0\0\x01", b"\x04\x01\0\x50\0\0\0\x01\0", b"\x05\x01\0\x05\x01\0\x03\xff"]))
def test_no_handshake_goes_on_for_ever(start: bytes) -> None:
    server = SocksServer()
    result = server.receive(start)[1]
    count = 0
    while result is None:
        result = server.receive(b"x")[1]
        count += 1
    assert count <= 257
