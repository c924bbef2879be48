"""What the first bytes of a pipe begin."""

from __future__ import annotations

import pytest

from mockrec.engine.wire.request_line import METHODS
from mockrec.engine.wire.sniff import H2_PREFACE, SNIFF_LIMIT, sniff

# The mark stands where the answer is known; before it more is needed.
OPENINGS = [
    (b"\x16|\x03\x01\x02\x00", "tls"),
    (b"\x16|GET / ", "tls"),
    (b"\x04\x01|\x00\x50", "socks4"),
    (b"\x04\x02|\x00\x50", "socks4"),
    (b"\x04\x00|\x00\x50", "unknown"),
    (b"\x04\x03|\x00\x50", "unknown"),
    (b"\x05\x01|\x00", "socks5"),
    (b"\x05\x01|\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "socks5"),
    (b"\x05\xff|\x00", "socks5"),
    (b"\x05\x00|", "unknown"),
    (H2_PREFACE + b"|\x00\x00\x00\x04\x00\x00\x00\x00\x00", "h2"),
    (b"GET |/ HTTP/1.1\r\n", "http1"),
    (b"POST |/ HTTP/1.1\r\n", "http1"),
    (b"PUT |/", "http1"),
    (b"PROPFIND |/", "http1"),
    (b"CONNECT |a.test:443 HTTP/1.1\r\n", "http1"),
    (b"M-SEARCH |* HTTP/1.1\r\n", "http1"),
    (b"GET |\x00", "http1"),
    (b"\r\n|GET / HTTP/1.1\r\n", "http1"),
    (b"\r\n|\x16\x03\x01", "http1"),
    (b"\n|GET / HTTP/1.1\r\n", "unknown"),
    (b"\r\r|\n", "unknown"),
    (b"GETX /| HTTP/1.1\r\n", "http1"),
    (b"LIST /|v1/secret HTTP/1.1\r\n", "http1"),
    (b"X_Y http://|a/ HTTP/1.1\r\n", "http1"),
    (b"FOO * |HTTP/1.1\r\n", "http1"),
    (b"EHLO mail.a.test\r|\n", "unknown"),
    (b"SET {|}\r\n", "unknown"),
    (b"A-METHOD-OF-24-CHARACTER|S /", "unknown"),
    (b"NICK x\r|\n", "unknown"),
    (b"GET\r|\n", "unknown"),
    (b"g|et / HTTP/1.1\r\n", "unknown"),
    (b"PRI /| HTTP/1.1\r\n", "unknown"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX|", "unknown"),
    (b"Px|", "unknown"),
    (b"SSH-2.|0-OpenSSH_9.2\r\n", "unknown"),
    (b"\x00|", "unknown"),
    (b"\x15|\x03\x01", "unknown"),
    (b"\x80|\x2e\x01\x03\x01", "unknown"),
    (b"\xff|", "unknown"),
]


@pytest.mark.parametrize(("marked", "expected"), OPENINGS)
def test_it_is_known_as_soon_as_it_can_be(marked: bytes, expected: str) -> None:
    before, _, rest = marked.partition(b"|")
    whole = before + rest
    for length in range(len(whole) + 1):
        assert sniff(whole[:length], socks=True) == (expected if length >= len(before) else "more")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_begins_http1(method: bytes) -> None:
    assert sniff(method, socks=True) == "more"
    assert sniff(method + b" ", socks=True) == "http1"


@pytest.mark.parametrize("first", [b"\x04", b"\x04\x01", b"\x05", b"\x05\x01\x00"])
def test_where_socks_is_off_its_bytes_are_unknown(first: bytes) -> None:
    assert sniff(first, socks=False) == "unknown"


@pytest.mark.parametrize(("marked", "expected"), [case for case in OPENINGS if case[0][0] not in (4, 5)])
def test_socks_changes_nothing_else(marked: bytes, expected: str) -> None:
    assert sniff(bytearray(marked.replace(b"|", b"")), socks=False) == expected


def test_the_longest_opening_is_the_limit() -> None:
    assert SNIFF_LIMIT == 24
    assert sniff(H2_PREFACE[:-1], socks=True) == "more"
