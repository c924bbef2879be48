"""ClientHellos of real clients and hand-made ones: what is read, the fingerprints, cuts, and what is no hello.

`tests/data/hellos.json` holds what the named clients sent, with the numbers that a second decoder found in them:
`ja3` is the text under JA3, `ja4_r` the raw lists under JA4's two hashes.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.wire.client_hello import (
    HELLO_LIMIT,
    RECORD_COUNT_LIMIT,
    ClientHello,
    NeedMore,
    NotTls,
    read_client_hello,
)

CAPTURED: dict[str, dict[str, str]] = json.loads(
    Path(__file__).parents[3].joinpath("data", "hellos.json").read_text(encoding="utf-8")
)
GREASE = [int(f"{digit}a{digit}a", 16) for digit in "0123456789abcdef"]

# client: SNI, ALPN, JA3, JA4
READ: dict[str, tuple[str | None, tuple[str, ...], str, str]] = {
    "curl": (
        "curl.test",
        ("h2", "http/1.1"),
        "0149f47eabf9a20d0893e2a44e5a6323",
        "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6",
    ),
    "curl-http1.1-ip": (
        None,
        ("http/1.1",),
        "78f0dc5ac5b19daf131a133cfdee9691",
        "t13i3111h1_e8f1e7e78f70_b26ce05bbdd6",
    ),
    "openssl-tls1.2": (None, (), "fbe7e189e37a07ee33706f86bc746344", "t12i280600_d943125447b4_e7e480e5a997"),
    "openssl": (
        "openssl.test",
        ("h2", "http/1.1"),
        "5a1edc7f170af1014fc65c994878e63c",
        "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4",
    ),
    "python": (
        "python.test",
        ("h2", "http/1.1"),
        "304734bb1c086c3453b387400cf83f11",
        "t13d1812h2_85036bcba153_d41ae481755e",
    ),
    "python-no-alpn": (
        "python.test",
        (),
        "93c7d42c0df602fb91589311534831f5",
        "t13d181100_85036bcba153_d41ae481755e",
    ),
    "node": ("node.test", (), "0cce74b0d9b7f8528fb2181588d23793", "t13d591000_a33745022dd6_1f22a2ca17c4"),
    "chromium": (
        "localhost",
        ("h2", "http/1.1"),
        "2e69bd56c11a59c40e865952270c61d6",
        "t13d1517h2_8daaf6152771_cb7bf5808d99",
    ),
    "wget": ("localhost", (), "bb4f9fef542ff6b4b29aa653bf0c1d31", "t13d291300_723694b0fccc_899037bd0b8c"),
    "java": (
        "localhost",
        ("h2", "http/1.1"),
        "eea0a26d87c4721f5818bb176368f238",
        "t13d3713h2_db35923f8641_7c76daad20ec",
    ),
}


# ── making hellos ──────────────────────────────────────────────────────────────────────────────────


def u16s(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def vector(data: bytes, width: int = 2) -> bytes:
    return len(data).to_bytes(width) + data


def sni(name: bytes, kind: int = 0) -> bytes:
    return vector(bytes([kind]) + vector(name))


def alpn(*names: bytes) -> bytes:
    return vector(b"".join(vector(name, 1) for name in names))


def message(ciphers: Sequence[int], extensions: Sequence[tuple[int, bytes]] | None, version: int = 0x0303) -> bytes:
    """A handshake message; without an extension block at all if `extensions` is None."""
    body = u16s([version]) + bytes(range(32)) + vector(bytes(32), 1) + vector(u16s(ciphers)) + vector(b"\0", 1)
    if extensions is not None:
        body += vector(b"".join(u16s([kind]) + vector(content) for kind, content in extensions))
    return b"\x01" + vector(body, 3)


def records(data: bytes, *sizes: int) -> bytes:
    """`data` in records of these sizes, and one for the rest."""
    out, at = b"", 0
    for size in (*sizes, len(data) - sum(sizes)):
        out += b"\x16\x03\x01" + vector(data[at : at + size])
        at += size
    return out


def read(raw: bytes | bytearray) -> ClientHello:
    hello = read_client_hello(raw)
    assert isinstance(hello, ClientHello), hello
    return hello


def made(
    extensions: Sequence[tuple[int, bytes]] | None = (), ciphers: Sequence[int] = (0x1301,), version: int = 0x0303
) -> ClientHello:
    return read(records(message(ciphers, extensions, version)))


# ── real clients ───────────────────────────────────────────────────────────────────────────────────


def second_reading(raw: bytes) -> tuple[str, str]:
    """The JA3 text and the raw JA4 lists of a hello in one record, found without the code under test."""
    at = 9
    (version,) = struct.unpack_from(">H", raw, at)
    at += 34
    at += 1 + raw[at]
    (size,) = struct.unpack_from(">H", raw, at)
    ciphers = struct.unpack_from(f">{size // 2}H", raw, at + 2)
    at += 2 + size
    at += 1 + raw[at]
    end = at + 2 + int.from_bytes(raw[at : at + 2])
    at += 2
    extensions: dict[int, bytes] = {}
    while at < end:
        kind, size = struct.unpack_from(">HH", raw, at)
        extensions[kind] = raw[at + 4 : at + 4 + size]
        at += 4 + size
    assert at == len(raw)

    def unpack(content: bytes) -> tuple[Any, ...]:
        return struct.unpack(f">{len(content) // 2}H", content)

    def plain(numbers: Sequence[int]) -> list[int]:
        return [number for number in numbers if number not in GREASE]

    lists = [ciphers, tuple(extensions), unpack(extensions[10][2:]), tuple(extensions[11][1:])]
    ja3 = ",".join([str(version), *("-".join(str(number) for number in plain(numbers)) for numbers in lists)])
    sorted_lists = [sorted(plain(ciphers)), sorted(set(plain(lists[1])) - {0, 16}), plain(unpack(extensions[13][2:]))]
    return ja3, "_".join(",".join(f"{number:04x}" for number in numbers) for numbers in sorted_lists)


def hashes(ja4_r: str) -> str:
    ciphers, rest = ja4_r.split("_", 1)
    return "_".join(hashlib.sha256(text.encode()).hexdigest()[:12] for text in (ciphers, rest))


@pytest.mark.parametrize("client", READ)
def test_a_captured_hello_is_read_whole(client: str) -> None:
    kept = CAPTURED[client]
    raw = bytes.fromhex(kept["hex"])
    hello = read(raw)
    assert (hello.server_name, hello.alpn, hello.ja3, hello.ja4) == READ[client]
    assert hello.ja3_text == kept["ja3"]
    assert second_reading(raw) == (kept["ja3"], kept["ja4_r"])
    assert hello.ja3 == hashlib.md5(kept["ja3"].encode()).hexdigest()
    assert hello.ja4.split("_", 1)[1] == hashes(kept["ja4_r"])


def test_every_captured_hello_is_in_the_table() -> None:
    assert set(CAPTURED) == set(READ)


def test_the_lists_are_those_of_the_wire() -> None:
    hello = read(bytes.fromhex(CAPTURED["chromium"]["hex"]))
    assert hello == ClientHello(
        version=0x0303,
        ciphers=(
            *(0xDADA, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030),
            *(0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035),
        ),
        extensions=(
            *(0xEAEA, 45, 5, 43, 13, 10, 23, 27, 11, 0xCA34, 0x44CD, 16, 0xFF01, 35, 18, 0xFE0D, 51, 0, 0x2A2A),
        ),
        server_name="localhost",
        alpn=("h2", "http/1.1"),
        versions=(0x2A2A, 0x0304, 0x0303),
        groups=(0xEAEA, 0x11EC, 0x001D, 0x0017, 0x0018),
        point_formats=(0,),
        signature_algorithms=(
            *(0x6A6A, 0x0904, 0x0905, 0x0906, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601),
        ),
    )


# ── hand-made clients ──────────────────────────────────────────────────────────────────────────────

CHROME_CIPHERS = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9]
CHROME_CIPHERS += [0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035]
CHROME_ALGORITHMS = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
CHROME_CONTENTS = {
    0: sni(b"tls.test"),
    10: vector(u16s([0x4A4A, 4588, 29, 23, 24])),
    11: vector(b"\0", 1),
    13: vector(u16s(CHROME_ALGORITHMS)),
    16: alpn(b"h2", b"http/1.1"),
    43: vector(u16s([0xBABA, 0x0304, 0x0303]), 1),
}


def test_a_hello_like_a_browsers_has_the_published_fingerprints() -> None:
    """Chrome 143 as https://tls.browserleaks.com shows it; GREASE stands where Chrome puts it."""
    kinds = [0x0A0A, 45, 51, 16, 65037, 23, 17613, 0, 11, 10, 43, 65281, 35, 18, 5, 13, 27, 0xFAFA]
    hello = made([(kind, CHROME_CONTENTS.get(kind, b"\0")) for kind in kinds], [0x3A3A, *CHROME_CIPHERS])
    assert hello.ja3_text == (
        "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
        "45-51-16-65037-23-17613-0-11-10-43-65281-35-18-5-13-27,4588-29-23-24,0"
    )
    assert hello.ja3 == "98487aa16281980e7d1120d399efb6a4"
    assert hello.ja4 == "t13d1516h2_8daaf6152771_d8a2da3f94cd"
    assert (
        hashes(
            "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9"
            "_0005,000a,000b,000d,0012,0017,001b,0023,002b,002d,0033,44cd,fe0d,ff01"
            "_0403,0804,0401,0503,0805,0501,0806,0601"
        )
        == hello.ja4.split("_", 1)[1]
    )


def test_the_example_of_the_ja4_specification() -> None:
    kinds = [0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D]
    kinds += [0x0005, 0x0023, 0x0012, 0x002B, 0xFF01, 0x000B, 0x000A, 0x0015]
    contents = [(kind, CHROME_CONTENTS.get(kind, b"")) for kind in kinds]
    assert made(contents, CHROME_CIPHERS).ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    without_algorithms = [(kind, b"" if kind == 13 else content) for kind, content in contents]
    assert made(without_algorithms, CHROME_CIPHERS).ja4 == "t13d1516h2_8daaf6152771_6d807ffa2a79"


GO_CIPHERS = [0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC009, 0xC013, 0xC00A, 0xC014]
GO_CIPHERS += [0x009C, 0x009D, 0x002F, 0x0035, 0xC012, 0x000A, 0x1301, 0x1302, 0x1303]
GO_ALGORITHMS = [0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603, 0x0201, 0x0203]
GO_EXTENSIONS = [
    (0, sni(b"go.test")),
    (5, b"\x01\0\0\0\0"),
    (10, vector(u16s([29, 23, 24, 25]))),
    (11, vector(b"\0", 1)),
    (13, vector(u16s(GO_ALGORITHMS))),
    (65281, b"\0"),
    (18, b""),
    (43, vector(u16s([0x0304, 0x0303]), 1)),
    (51, vector(u16s([29]) + vector(bytes(32)))),
]


def test_a_hello_like_gos_has_the_published_fingerprints() -> None:
    """crypto/tls up to Go 1.20 (FoxIO's table has it under a Go program), and after extended_master_secret came."""
    hello = made(GO_EXTENSIONS, GO_CIPHERS)
    assert hello.ja3_text == (
        "771,49195-49199-49196-49200-52393-52392-49161-49171-49162-49172-156-157-47-53-49170-10-4865-4866-4867,"
        "0-5-10-11-13-65281-18-43-51,29-23-24-25,0"
    )
    assert hello.ja4 == "t13d190900_9dc949149365_97f8aa674fd9"
    newer = [*GO_EXTENSIONS, (23, b""), (16, alpn(b"h2", b"http/1.1"))]
    assert made(newer, GO_CIPHERS).ja4 == "t13d1911h2_9dc949149365_e7c285222651"


def test_grease_is_kept_in_the_lists_and_left_out_of_the_fingerprints() -> None:
    plain = [(10, vector(u16s([29]))), (13, vector(u16s([0x0403]))), (43, vector(u16s([0x0303]), 1))]
    greased = [
        (0x1A1A, b""),
        (10, vector(u16s([0x2A2A, 29]))),
        (13, vector(u16s([0x3A3A, 0x0403]))),
        (43, vector(u16s([0x4A4A, 0x0303]), 1)),
        (0x5A5A, b"\0"),
    ]
    hello = made(greased, [0x6A6A, 0x1301, *GREASE])
    assert hello.ciphers == (0x6A6A, 0x1301, *GREASE)
    assert hello.extensions == (0x1A1A, 10, 13, 43, 0x5A5A)
    assert (hello.ja3_text, hello.ja4) == ("771,4865,10-13-43,29,", made(plain, [0x1301]).ja4)
    assert hello.ja4.startswith("t12i010300_")


@pytest.mark.parametrize("number", [0x0A1A, 0x1A0A, 0x0A0B, 0x0B0A, 0xFF0A, 0x00FF, 0x5600, 0xFEFE])
def test_what_looks_like_grease_or_is_no_cipher_counts(number: int) -> None:
    hello = made((), [number])
    assert hello.ja3_text == f"771,{number},,,"
    assert hello.ja4 == f"t12i010000_{hashlib.sha256(f'{number:04x}'.encode()).hexdigest()[:12]}_000000000000"


@pytest.mark.parametrize(
    ("legacy", "versions", "expected"),
    [
        (0x0303, [0x0304, 0x0303], "13"),
        (0x0303, [0x0303, 0x0304], "13"),
        (0x0303, [0x0303, 0x0302], "12"),
        (0x0303, [0xFAFA, 0x0302], "11"),
        (0x0303, [0x0301], "10"),
        (0x0303, [0x7F1C, 0x0303], "00"),
        (0x0303, [0xFAFA], "00"),
        (0x0303, [], "00"),
        (0x0304, None, "13"),
        (0x0303, None, "12"),
        (0x0302, None, "11"),
        (0x0301, None, "10"),
        (0x0300, None, "s3"),
        (0x0002, None, "s2"),
        (0x1234, None, "00"),
    ],
)
def test_the_version_in_ja4(legacy: int, versions: list[int] | None, expected: str) -> None:
    extensions = [] if versions is None else [(43, vector(u16s(versions), 1))]
    assert made(extensions, version=legacy).ja4[1:3] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([b"h2"], "h2"),
        ([b"http/1.1", b"h2"], "h1"),
        ([b"a"], "aa"),
        ([b"\xab"], "ab"),
        ([b"\x20"], "20"),
        ([b"\xab\xcd"], "ad"),
        ([b"\x20\x61"], "21"),
        ([b"\x30\xab"], "3b"),
        ([b"\x61\x20"], "60"),
        ([b"\x30\x31\xab\xcd"], "3d"),
        ([b"\x30\xab\xcd\x31"], "01"),
        ([b"\xc3\xa9t\xc3\xa9"], "c9"),
        ([b"\xba\xba", b"h2"], "h2"),
        ([b"\xba\xba"], "00"),
        ([], "00"),
        ([b""], "00"),
    ],
)
def test_the_protocol_in_ja4(names: list[bytes], expected: str) -> None:
    assert made([(16, alpn(*names))]).ja4[8:10] == expected


def test_counts_in_ja4_stop_at_99() -> None:
    assert made([(kind, b"") for kind in range(100, 250)], range(1, 121)).ja4.startswith("t12i999900_")


def test_without_ciphers_and_extensions_ja4_has_zeros() -> None:
    assert made([(0, sni(b"a.test")), (16, alpn(b"h2"))], []).ja4 == "t12d0002h2_000000000000_000000000000"


def test_a_hello_may_have_no_extension_block() -> None:
    """As SSL 3.0 and TLS 1.0 clients send it (RFC 5246, 7.4.1.2)."""
    hello = made(None, [0x0005, 0x000A], version=0x0301)
    assert (hello.extensions, hello.server_name, hello.ja3_text) == ((), None, "769,5-10,,,")
    assert hello.ja4 == f"t10i020000_{hashlib.sha256(b'0005,000a').hexdigest()[:12]}_000000000000"


# ── extensions that are malformed inside ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (sni(b"a.test"), "a.test"),
        (sni(b"A.Test."), "A.Test."),
        (vector(b"\x01" + vector(b"x") + b"\0" + vector(b"b.test")), "b.test"),
        (sni(b"a.test", kind=1), None),
        (sni(b""), None),
        (sni(b"\xff.test"), None),
        (sni(b"a b"), None),
        (sni(b"a\0"), None),
        (b"", None),
        (b"\0", None),
        (b"\0\0", None),
        (sni(b"a.test")[:-1], None),
        (sni(b"a.test") + b"\0", None),
    ],
)
def test_the_server_name(content: bytes, name: str | None) -> None:
    hello = made([(0, content)])
    assert hello.server_name == name
    assert hello.ja4[3] == "d"  # the extension is there


@pytest.mark.parametrize("content", [b"", b"\0\x01", vector(b"\x02h"), vector(b"\x02h2\x00"), alpn(b"h2") + b"\0"])
def test_malformed_protocols_read_as_none(content: bytes) -> None:
    assert made([(16, content)]).alpn == ()


@pytest.mark.parametrize("content", [b"", b"\x03\x03", b"\0\x03abc", b"\0\x04ab", b"\0\x02abc"])
def test_malformed_lists_read_as_empty(content: bytes) -> None:
    hello = made([(10, content), (13, content), (43, content), (11, b"\x02\0")])
    assert (hello.groups, hello.signature_algorithms, hello.versions, hello.point_formats) == ((), (), (), ())
    assert hello.extensions == (10, 13, 43, 11)


def test_of_a_repeated_extension_the_first_counts() -> None:
    hello = made([(0, sni(b"a.test")), (0, sni(b"b.test"))])
    assert (hello.extensions, hello.server_name) == ((0, 0), "a.test")


# ── cuts and records ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("client", READ)
def test_until_the_last_byte_more_is_needed(client: str) -> None:
    raw = bytes.fromhex(CAPTURED[client]["hex"])
    for length in range(len(raw)):
        answer = read_client_hello(raw[:length])
        assert isinstance(answer, NeedMore)
        assert length < answer.size <= len(raw)
    assert read(raw) == read(bytearray(raw)) == read(raw + b"\x16\x03\x01 anything")


@pytest.mark.parametrize("client", READ)
@pytest.mark.parametrize("sizes", [(1,), (3,), (4,), (5, 1, 1), (100, 3), (1, 1, 1, 1, 1)])
def test_a_hello_may_be_split_over_records(client: str, sizes: tuple[int, ...]) -> None:
    raw = bytes.fromhex(CAPTURED[client]["hex"])
    split = records(raw[5:], *sizes)
    assert read(split) == read(raw)
    assert all(isinstance(read_client_hello(split[:length]), NeedMore) for length in range(len(split)))


def test_who_waits_for_what_is_needed_asks_rarely() -> None:
    raw = bytes.fromhex(CAPTURED["curl"]["hex"])
    asked, length = [], 0
    while isinstance(answer := read_client_hello(raw[:length]), NeedMore):
        asked.append(length := answer.size)
    assert asked == [5, 9, len(raw)]


def test_a_hello_in_very_many_records_is_refused() -> None:
    data = message([0x1301], [(21, bytes(RECORD_COUNT_LIMIT))])
    in_time = [1] * (RECORD_COUNT_LIMIT - 1)
    assert isinstance(read_client_hello(records(data, *in_time)), ClientHello)
    assert read_client_hello(records(data, *in_time, 1)) == NotTls("too many records")


def test_a_hello_may_have_64_kib_with_its_records() -> None:
    sizes = [0x4000] * 3
    room = HELLO_LIMIT - 4 * 5 - len(message([0x1301], [(21, b"")]))
    largest = records(message([0x1301], [(21, bytes(room))]), *sizes)
    assert len(largest) == HELLO_LIMIT
    assert read(largest).extensions == (21,)
    assert read_client_hello(records(message([0x1301], [(21, bytes(room + 1))]), *sizes)) == NotTls("too long")


@pytest.mark.parametrize("behind", [b"", b"\x16", b"\x17\x03\x03\0\x01", b"\x16\x03\x01\0\x01\0"])
def test_no_record_begins_where_its_header_would_not_fit(behind: bytes) -> None:
    data = message([0x1301], [(21, bytes(HELLO_LIMIT - 100))])
    last = HELLO_LIMIT - 2 - 3 * 0x4000 - 4 * 5
    cut = records(data, 0x4000, 0x4000, 0x4000, last)[: HELLO_LIMIT - 2]
    assert len(data) > 3 * 0x4000 + last
    assert read_client_hello(cut[:-1]) == NeedMore(HELLO_LIMIT - 2)
    assert read_client_hello(cut + behind) == NotTls("too long")


# ── what is no hello ───────────────────────────────────────────────────────────────────────────────

SMALL = message([0x1301], [])


@pytest.mark.parametrize(
    ("marked", "reason"),
    [
        (b"|\x15\x03\x01\0\x02\x01\0", "not a handshake record"),
        (b"|GET / HTTP/1.1\r\n", "not a handshake record"),
        (b"\x16|\x02\x01", "not a handshake record"),
        (b"\x16\x03\x01\0|\0", "bad record length"),
        (b"\x16\x03\x01\x40|\x01\x01", "bad record length"),
        (b"\x16\x03\x01\x02\0|\x02\0\0", "not a ClientHello"),
        (b"\x16\x03\x01\x02\0\x01\x01\0|\0", "too long"),
        (b"\x16\x03\x01\x02\0\x01\xff\xff|\xff", "too long"),
        (b"\x16\x03\x01\0\x04\x01\0\0|\0", "malformed ClientHello"),
        (records(SMALL, 20)[:25] + b"|\x17\x03\x01", "not a handshake record"),
    ],
)
def test_it_shows_at_once(marked: bytes, reason: str) -> None:
    before, _, rest = marked.partition(b"|")
    assert isinstance(read_client_hello(before), NeedMore)
    for length in range(1, len(rest) + 1):
        assert read_client_hello(before + rest[:length]) == NotTls(reason)


@pytest.mark.parametrize(
    "body",
    [
        SMALL[4:] + b"\0",
        SMALL[4:-1],
        SMALL[4:-2] + b"\0\x01",
        SMALL[4:-2] + b"\0\x03\0\0\0",
        SMALL[4:-2] + b"\0\x05\0\0\0\x02a",
        SMALL[4:38],
        SMALL[4:70] + vector(b"odd") + SMALL[-4:],
    ],
)
def test_a_broken_frame_is_malformed(body: bytes) -> None:
    assert body != SMALL[4:]
    assert read_client_hello(records(b"\x01" + vector(body, 3))) == NotTls("malformed ClientHello")
