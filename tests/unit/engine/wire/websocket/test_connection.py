"""WebSocket frames, after the cases of the Autobahn test suite (each test has its number)."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
import zlib

import pytest

from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, Ping, Pong, Side, WebSocket, WsFault, WsPart
from mockrec.engine.wire.websocket.handshake import Deflate

LIMIT = 1 << 20
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"

Whole = tuple[bytes, bool]


def frame(first: int, payload: bytes = b"", key: bytes = KEY) -> bytes:
    """A frame as a client sends it; without a key as a server does."""
    size = len(payload)
    mask = 0x80 if key else 0
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 0x10000:
        head = bytes([first, mask | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, mask | 127]) + size.to_bytes(8)
    if key:
        payload = bytes(a ^ b for a, b in zip(payload, itertools.cycle(key), strict=False))
    return head + key + payload


def server(deflate: Deflate | None = None, limit: int = LIMIT, *, check_text: bool = True) -> WebSocket:
    return WebSocket("server", deflate=deflate, message_limit=limit, check_text=check_text)


def heard(parts: list[WsPart]) -> list[WsPart | Whole]:
    """The parts with the fragments of each message joined: its data, and whether it is binary."""
    said: list[WsPart | Whole] = []
    message: list[Fragment] | None = None
    for part in parts:
        if not isinstance(part, Fragment):
            said.append(part)
            continue
        assert part.starts is (message is None)
        message = message or []
        message.append(part)
        if part.ends:
            assert len({each.is_binary for each in message}) == 1
            said.append((b"".join(each.data for each in message), part.is_binary))
            message = None
    return said


def read(
    raw: bytes, step: int, deflate: Deflate | None = None, limit: int = LIMIT, *, check_text: bool = True
) -> list[WsPart | Whole]:
    """What a server hears of bytes that come in pieces of `step`."""
    ws = server(deflate, limit, check_text=check_text)
    return heard([part for at in range(0, len(raw), step) for part in ws.receive(raw[at : at + step])])


STEPS = pytest.mark.parametrize("step", [1, 2, 3, 7, 100_000])
SIDES = pytest.mark.parametrize("side", ["server", "client"])


# ── 1: framing ─────────────────────────────────────────────────────────────────────────────────────

SIZES = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 1023, 1024, 1025, 1028, 65535, 65536, 65537]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [997, 100_000])
def test_a_message_of_any_length_is_read(size: int, opcode: int, step: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    assert read(frame(FIN | opcode, data) * 2, step) == [(data, opcode == BINARY)] * 2


@SIDES
@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_message_of_any_length_is_written(size: int, is_binary: bool, side: Side) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    sent = WebSocket(side, deflate=None, message_limit=LIMIT).send_message(data, is_binary=is_binary)
    key = b"" if side == "server" else sent[-size - 4 : len(sent) - size]
    assert sent == frame(FIN | (BINARY if is_binary else TEXT), data, key)


def test_the_example_frames_of_the_rfc() -> None:
    """RFC 6455, 5.7."""
    ours = server()
    assert ours.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == [Fragment(b"Hello", False, True, True)]
    assert ours.receive(bytes.fromhex("8a8537fa213d7f9f4d5158")) == [Pong(b"Hello")]
    client = WebSocket("client", deflate=None, message_limit=LIMIT)
    assert client.receive(bytes.fromhex("810548656c6c6f")) == [Fragment(b"Hello", False, True, True)]
    assert client.receive(bytes.fromhex("010348656c")) == [Fragment(b"Hel", False, True, False)]
    assert client.receive(bytes.fromhex("80026c6f")) == [Fragment(b"lo", False, False, True)]
    assert client.receive(bytes.fromhex("890548656c6c6f")) == [Ping(b"Hello")]
    assert ours.send_message(b"Hello", is_binary=False) == bytes.fromhex("810548656c6c6f")
    assert ours.send_message(bytes(256), is_binary=True) == bytes.fromhex("827e0100") + bytes(256)
    assert ours.send_message(bytes(65536), is_binary=True) == bytes.fromhex("827f0000000000010000") + bytes(65536)


def test_each_frame_of_a_client_has_its_own_mask() -> None:
    client = WebSocket("client", deflate=None, message_limit=LIMIT)
    assert len({client.send_ping(b"")[2:] for _ in range(20)}) > 10


@STEPS
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (frame(FIN | TEXT, b"hello", key=b""), "unmasked"),
        (frame(FIN | PING, b"", key=b""), "unmasked"),
        (b"\x82\xfe\x00\x7d" + KEY + bytes(125), "1 would have sufficed"),
        (b"\x82\xfe\x00\x00" + KEY, "1 would have sufficed"),
        (b"\x82\xff" + (65535).to_bytes(8) + KEY + bytes(65535), "2 would have sufficed"),
        (b"\x82\xff" + (1 << 63).to_bytes(8) + KEY, "non-zero MSB"),
    ],
)
def test_a_wrong_mask_or_length_is_a_fault(raw: bytes, reason: str, step: int) -> None:
    good = frame(FIN | BINARY, b"good")
    first, fault = read(good + raw + good, step)
    assert first == (b"good", True)
    assert isinstance(fault, WsFault)
    assert (fault.code, reason in fault.reason) == (1002, True)


def test_a_client_refuses_a_mask() -> None:
    for raw in (frame(FIN | TEXT, b"hello"), frame(FIN | PING), frame(FIN | TEXT, bytes(5000))):
        (fault,) = WebSocket("client", deflate=None, message_limit=LIMIT).receive(raw)
        assert isinstance(fault, WsFault)
        assert fault.code == 1002


# ── 2: pings and pongs ─────────────────────────────────────────────────────────────────────────────


@STEPS
@pytest.mark.parametrize("data", [b"", b"Hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
def test_pings_and_pongs_are_told_and_not_answered(data: bytes, step: int) -> None:
    raw = frame(FIN | PING, data) + frame(FIN | PONG, data) + frame(FIN | TEXT, b"x")
    assert read(raw * 2, step) == [Ping(data), Pong(data), (b"x", False)] * 2


@SIDES
def test_pings_and_pongs_are_written(side: Side) -> None:
    ours = WebSocket(side, deflate=Deflate(), message_limit=LIMIT)
    theirs = WebSocket("client" if side == "server" else "server", deflate=Deflate(), message_limit=LIMIT)
    assert theirs.receive(ours.send_ping(b"a" * 125) + ours.send_pong(b"")) == [Ping(b"a" * 125), Pong(b"")]
    for send in (ours.send_ping, ours.send_pong):
        with pytest.raises(ValueError, match="126 bytes"):
            send(bytes(126))


# ── 2.5, 3, 4, 5: control frames, reserved bits and opcodes, the order of frames ───────────────────


@STEPS
@pytest.mark.parametrize(
    "raw",
    [
        *(frame(FIN | opcode, bytes(126)) for opcode in (CLOSE, PING, PONG)),
        *(frame(opcode, b"") for opcode in (CLOSE, PING, PONG)),
        *(frame(FIN | bits | TEXT, b"x") for bits in range(RSV3, FIN, RSV3)),
        *(frame(FIN | bits | PING, b"x") for bits in (RSV1, RSV2, RSV3)),
        *(frame(FIN | bits | CLOSE, b"\x03\xe8") for bits in (RSV1, RSV2, RSV3)),
        *(frame(FIN | opcode, data) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for data in (b"", b"x" * 10)),
        frame(FIN | CONTINUATION, b"x"),
        frame(CONTINUATION, b"x"),
        frame(FIN | CONTINUATION, b""),
        frame(TEXT, b"x") + frame(FIN | TEXT, b"y"),
        frame(TEXT, b"x") + frame(BINARY, b"y"),
        frame(BINARY, b"") + frame(FIN | BINARY, b""),
        frame(TEXT, b"x") + frame(FIN | RSV1 | CONTINUATION, b"y"),
        frame(TEXT, b"x") + frame(FIN | CONTINUATION, b"") + frame(FIN | CONTINUATION, b"z"),
    ],
)
def test_what_breaks_the_protocol_is_a_fault(raw: bytes, step: int) -> None:
    good = frame(FIN | TEXT, b"good")
    first, *between, fault = read(good + raw + good, step)
    assert first == (b"good", False)
    assert between in ([], [(b"x", False)])
    assert isinstance(fault, WsFault)
    assert fault.code == 1002


@STEPS
def test_fragments_are_a_message_and_control_frames_stand_between_them(step: int) -> None:
    raw = (
        frame(TEXT, b"frag")
        + frame(FIN | PING, b"p")
        + frame(CONTINUATION, b"")
        + frame(CONTINUATION, b"men")
        + frame(FIN | PONG, b"q")
        + frame(FIN | CONTINUATION, b"t")
        + frame(FIN | BINARY, b"x")
    )
    assert read(raw, step) == [Ping(b"p"), Pong(b"q"), (b"fragment", False), (b"x", True)]


@STEPS
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_all_fragments_may_be_empty(opcode: int, step: int) -> None:
    raw = frame(opcode) + frame(CONTINUATION) * 3 + frame(FIN | CONTINUATION)
    assert read(raw, step) == [(b"", opcode == BINARY)]


def test_fragments_are_handed_on_as_they_come() -> None:
    ours = server()
    raw = frame(BINARY, bytes(100)) + frame(FIN | CONTINUATION, bytes(70_000))
    assert ours.receive(raw[:6]) == []
    assert ours.receive(raw[6:50]) == [Fragment(bytes(44), True, True, False)]
    assert ours.receive(raw[50:106]) == [Fragment(bytes(56), True, False, False)]
    assert ours.receive(raw[106:120]) == []
    assert ours.receive(raw[120:10_120]) == [Fragment(bytes(10_000), True, False, False)]
    assert ours.receive(raw[10_120:]) == [Fragment(bytes(60_000), True, False, True)]


def test_a_frame_is_not_looked_for_inside_another() -> None:
    """The quick way begins only where a message may begin, also if the bytes of a frame come alone."""
    inner = frame(FIN | TEXT, b"inner")
    ours = server()
    ping = frame(FIN | PING, inner, key=bytes(4))
    assert ours.receive(ping[:6]) == []
    assert ours.receive(ping[6:]) == [Ping(inner)]
    whole = frame(FIN | BINARY, inner * 20, key=bytes(4))
    assert ours.receive(whole[:6]) == []
    assert heard(ours.receive(whole[6:8]) + ours.receive(whole[8:])) == [(inner * 20, True)]
    assert ours.receive(frame(TEXT, b"x")) == [Fragment(b"x", False, True, False)]
    assert ours.receive(inner) == [WsFault(1002, "a message inside a message")]


@SIDES
@pytest.mark.parametrize("deflate", [None, Deflate(), Deflate(True, True)])
def test_fragments_are_written(deflate: Deflate | None, side: Side) -> None:
    ours = WebSocket(side, deflate=deflate, message_limit=LIMIT)
    theirs = WebSocket("client" if side == "server" else "server", deflate=deflate, message_limit=LIMIT)
    for _ in range(3):
        for data, starts, ends in [(b"\xe2\x82", True, False), (b"", False, False), (b"\xac", False, False)]:
            sent = ours.send_fragment(data, is_binary=False, starts=starts, ends=ends)
            assert theirs.receive(sent) == ([Fragment(data, False, starts, ends)] if data else []), "not at once"
        assert theirs.receive(ours.send_ping()) == [Ping(b"")]
        sent = ours.send_fragment(b"", is_binary=False, starts=False, ends=True)
        assert theirs.receive(sent) == [Fragment(b"", False, False, True)]
        assert heard(theirs.receive(ours.send_message(b"", is_binary=True))) == [(b"", True)]


# ── 6: text ────────────────────────────────────────────────────────────────────────────────────────

GOOD_TEXT = [
    "",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "𠜎𠜱𠝹𠱓",
    "\x00",
    "\x80\u0800\U00010000",
    "\x7f\u07ff\uffff\U0010ffff",
    "\ud7ff\ue000\ufffd\ufffe",
]
BAD_TEXT = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\x80",
    b"\xbf\x80",
    b"\xc0 \xc1 ",
    b"\xfe",
    b"\xff\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xe2\x82x",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x80\x80\x80\xaf",
    b"\xf4\x90\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
]
DEFLATES = pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])


def fragmented(data: bytes, size: int, deflate: Deflate | None) -> bytes:
    """A text message in frames of `size` bytes of text."""
    client = WebSocket("client", deflate=deflate, message_limit=LIMIT)
    stops = range(size, len(data) + size, size) if data else [0]
    return b"".join(
        client.send_fragment(data[stop - size : stop], is_binary=False, starts=stop <= size, ends=stop >= len(data))
        for stop in stops
    )


@STEPS
@DEFLATES
@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("text", GOOD_TEXT)
def test_text_may_be_cut_inside_a_character(text: str, size: int, deflate: Deflate | None, step: int) -> None:
    data = text.encode()
    raw = fragmented(data, size, deflate)
    client = WebSocket("client", deflate=None, message_limit=LIMIT)
    assert read(raw + client.send_message(b"x", is_binary=False), step, deflate) == [(data, False), (b"x", False)]


@STEPS
@DEFLATES
@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("data", BAD_TEXT)
def test_text_that_is_not_utf8_is_a_fault_where_it_is_checked(
    data: bytes, size: int, deflate: Deflate | None, step: int
) -> None:
    raw = fragmented(data, size, deflate)
    fault = WsFault(1007, "invalid UTF-8 in a text message")
    assert read(raw + frame(FIN | TEXT, b"x"), step, deflate) == [fault]
    assert read(raw + frame(FIN | TEXT, b"x"), step, deflate, check_text=False) == [(data, False), (b"x", False)]


@pytest.mark.parametrize(
    ("lead", "bad"), [(b"\xf4", b"\x90"), (b"\xed", b"\xa0"), (b"\xed", b"\xbf"), (b"\xe0", b"\x9f")]
)
def test_bad_text_is_a_fault_before_the_message_is_complete(lead: bytes, bad: bytes) -> None:
    """6.3.2 and 6.4: fail fast, at the first byte that can be no text."""
    ours = server()
    assert ours.receive(frame(TEXT, b"\xce\xba" + lead)) == [Fragment(b"\xce\xba" + lead, False, True, False)]
    assert ours.receive(frame(CONTINUATION, bad + bytes(99))[:7]) == [WsFault(1007, "invalid UTF-8 in a text message")]


def test_binary_is_not_checked() -> None:
    assert read(frame(FIN | BINARY, b"\xff"), 1) == [(b"\xff", True)]


# ── 7: closing ─────────────────────────────────────────────────────────────────────────────────────

GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@STEPS
@pytest.mark.parametrize(
    ("payload", "close"),
    [
        (b"", CloseFrame(None, "")),
        (b"\x03\xe8", CloseFrame(1000, "")),
        (b"\x03\xe8Hello World!", CloseFrame(1000, "Hello World!")),
        (b"\x03\xe8" + "é".encode() * 61 + b"!", CloseFrame(1000, "é" * 61 + "!")),
        *((code.to_bytes(2), CloseFrame(code, "")) for code in GOOD_CODES),
        (b"\x03", WsFault(1002, "half a close code")),
        *((code.to_bytes(2), WsFault(1002, f"invalid close code {code}")) for code in BAD_CODES),
        *((b"\x03\xe8" + data, WsFault(1007, "invalid UTF-8 in a close reason")) for data in BAD_TEXT),
    ],
)
def test_nothing_follows_a_close_frame(payload: bytes, close: WsPart, step: int) -> None:
    tail = frame(FIN | TEXT, b"late") + frame(FIN | PING) + frame(FIN | CLOSE)
    good = frame(FIN | TEXT, b"good")
    assert read(good + frame(FIN | CLOSE, payload) + tail, step) == [(b"good", False), close]
    assert read(frame(TEXT, b"part") + frame(FIN | CLOSE, payload) + tail, step) == [close]
    ours = server()
    assert ours.receive(frame(FIN | CLOSE, payload) + tail) == [close]
    assert ours.receive(tail) == []
    assert ours.close_received is isinstance(close, CloseFrame)


@SIDES
@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (None, "unsaid", b""),
        (1000, "", b"\x03\xe8"),
        (1000, "bye", b"\x03\xe8bye"),
        (4999, "é" * 100, b"\x13\x87" + "é".encode() * 61),
        (0, "", b"\x00\x00"),
        (1006, "raw", b"\x03\xeeraw"),
    ],
)
def test_a_close_frame_is_written_as_asked(code: int | None, reason: str, payload: bytes, side: Side) -> None:
    ours = WebSocket(side, deflate=Deflate(), message_limit=LIMIT)
    sent = ours.send_close(code, reason)
    assert sent == frame(FIN | CLOSE, payload, sent[2:6] if side == "client" else b"")
    assert ours.close_sent
    assert not ours.close_received


def test_nothing_is_sent_behind_a_close_frame_but_all_is_read() -> None:
    ours = server()
    assert (ours.close_sent, ours.close_received) == (False, False)
    ours.send_close(1000)
    assert ours.send_close(1001) == ours.send_ping(b"") == ours.send_pong(b"") == b""
    assert ours.send_message(b"x", is_binary=True) == b""
    assert ours.send_fragment(b"x", is_binary=True, starts=False, ends=False) == b""
    assert heard(ours.receive(frame(FIN | TEXT, b"late"))) == [(b"late", False)]
    assert ours.receive(frame(FIN | CLOSE, b"\x03\xe8")) == [CloseFrame(1000, "")]
    assert (ours.close_sent, ours.close_received) == (True, True)


def test_an_answer_can_be_sent_behind_the_peers_close() -> None:
    ours = server()
    ours.receive(frame(FIN | CLOSE))
    assert ours.send_message(b"x", is_binary=False) == b"\x81\x01x"
    assert ours.send_close(None) == b"\x88\x00"


# ── 9, 10: limits ──────────────────────────────────────────────────────────────────────────────────

TOO_BIG = WsFault(1009, "message too big")


@STEPS
@DEFLATES
@pytest.mark.parametrize("size", [1, 30, 99, 100, 101, 200, 70_000])
def test_a_message_has_a_limit_that_its_fragments_share(size: int, deflate: Deflate | None, step: int) -> None:
    raw = fragmented(b"x" * 100, size, deflate)
    assert read(raw * 2, step, deflate, 100) == [(b"x" * 100, False)] * 2
    assert read(raw, step, deflate, 99) == [TOO_BIG]
    assert read(fragmented(b"", 1, deflate), step, deflate, 0) == [(b"", False)]


def test_a_frame_that_will_be_too_big_is_a_fault_at_once() -> None:
    assert server(limit=100).receive(frame(FIN | BINARY, bytes(101))[:6] + KEY) == [TOO_BIG]
    assert server(limit=100).receive(frame(FIN | BINARY, bytes(1 << 17))[:14]) == [TOO_BIG]


@STEPS
@pytest.mark.parametrize("count", [1, 2, 3, 400])
def test_deflate_streams_share_the_limit_of_their_message(count: int, step: int) -> None:
    packer = zlib.compressobj(wbits=-15, level=0)
    raw = frame(FIN | RSV1 | BINARY, (packer.compress(b"x" * 50) + packer.flush()) * count)
    assert read(raw, step, Deflate(), 50 * count) == [(b"x" * 50 * count, True)]
    assert read(raw, step, Deflate(), 50 * count - 1) == [TOO_BIG]


def test_there_may_be_no_limit() -> None:
    raw = fragmented(b"x" * 1000, 300, Deflate())
    assert read(raw, 10_000, Deflate(), sys.maxsize) == [(b"x" * 1000, False)]


def memory_of(ws: WebSocket, pieces: list[bytes]) -> tuple[int, WsPart | None]:
    """The most that reading these pieces takes, and the last part."""
    last: WsPart | None = None
    tracemalloc.start()
    try:
        for piece in pieces:
            for part in ws.receive(piece):
                last = part
        return tracemalloc.get_traced_memory()[1], last
    finally:
        tracemalloc.stop()


def test_a_large_message_passes_in_constant_memory() -> None:
    size = 1 << 26
    head = bytes([FIN | BINARY, 0xFF]) + size.to_bytes(8) + KEY
    most, last = memory_of(server(limit=size), [head, *[bytes(1 << 16)] * (size >> 16)])
    assert isinstance(last, Fragment)
    assert last.ends
    assert most < 1 << 20


@pytest.mark.parametrize("step", [1000, 100_000])
def test_a_zip_bomb_is_not_unpacked(step: int) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    block = bytes(1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(64)) + packer.flush(zlib.Z_SYNC_FLUSH)
    raw = frame(FIN | RSV1 | BINARY, bomb)
    most, last = memory_of(server(Deflate()), [raw[at : at + step] for at in range(0, len(raw), step)])
    assert last == TOO_BIG
    assert most < 4 << 20


# ── 12, 13: compression ────────────────────────────────────────────────────────────────────────────


@STEPS
@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("f248cdc9c90700")), b"Hello"),
        (frame(RSV1 | TEXT, bytes.fromhex("f248cd")) + frame(FIN, bytes.fromhex("c9c90700")), b"Hello"),
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("000500faff48656c6c6f00")), b"Hello"),
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c9070000")), b"Hello"),
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c90700")), b"Hello"),
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("f248050000 00ffffcac9c90700")), b"Hello"),
        (frame(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c90700") * 3), b"HelloHelloHello"),
        (frame(FIN | RSV1 | TEXT, b"\x00"), b""),
        (frame(FIN | RSV1 | TEXT, b""), b""),
        (frame(RSV1 | TEXT, b"") + frame(FIN, b""), b""),
        (frame(RSV1 | TEXT, b"") + frame(FIN, b"\x00"), b""),
        (frame(FIN | TEXT, b"plain"), b"plain"),
        (frame(TEXT, b"pl") + frame(FIN, b"ain"), b"plain"),
    ],
)
def test_compressed_messages_are_read(raw: bytes, data: bytes, step: int) -> None:
    """The examples of RFC 7692, 7.2.3, and other valid ones, one after another."""
    ping = frame(FIN | PING, b"p")
    assert read((raw + ping) * 2, step, Deflate()) == [(data, False), Ping(b"p")] * 2


def test_the_second_message_may_refer_to_the_first() -> None:
    """RFC 7692, 7.2.3.2."""
    raw = frame(FIN | RSV1 | TEXT, bytes.fromhex("f248cdc9c90700")) + frame(
        FIN | RSV1 | TEXT, bytes.fromhex("f200110000")
    )
    assert read(raw, 1, Deflate()) == [(b"Hello", False)] * 2
    bad = WsFault(1007, "invalid compressed data")
    assert read(raw, 1, Deflate(client_no_context_takeover=True)) == [(b"Hello", False), bad]
    assert read(raw, 1, Deflate(server_no_context_takeover=True)) == [(b"Hello", False)] * 2


@STEPS
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(FIN | RSV1 | TEXT, b"\xff\xff\xff"), 1007),
        (frame(FIN | RSV1 | TEXT, b"\x01\x05\x00\x00\x00Hello"), 1007),
        (frame(FIN | RSV2 | TEXT, b"x"), 1002),
        (frame(FIN | RSV1 | RSV3 | TEXT, b"\x00"), 1002),
        (frame(FIN | RSV1 | PING, b"x"), 1002),
        (frame(FIN | RSV1 | CLOSE, b"\x03\xe8"), 1002),
        (frame(RSV1 | TEXT, bytes.fromhex("f248cd")) + frame(FIN | RSV1, bytes.fromhex("c9c90700")), 1002),
    ],
)
def test_wrong_compression_is_a_fault(raw: bytes, code: int, step: int) -> None:
    (fault,) = read(raw, step, Deflate())
    assert isinstance(fault, WsFault)
    assert fault.code == code


TEXTS = [b'{"id": 1234567890, "name": "mockrec"}' * 3, b"", bytes(range(256)) * 40, b"", b"", b"{}" * 1000, b"x"] * 2


def unframed(raw: bytes) -> bytes:
    """The payload of a server's frame."""
    return raw[{126: 4, 127: 10}.get(raw[1], 2) :]


@pytest.mark.parametrize("bits", range(8, 16))
@pytest.mark.parametrize("no_context", [False, True])
def test_compression_keeps_what_was_agreed(bits: int, no_context: bool) -> None:
    """Our messages are read with the window, and the memory, that the peer has promised to have."""
    deflate = Deflate(server_no_context_takeover=no_context, server_max_window_bits=bits)
    ours = server(deflate)
    theirs = zlib.decompressobj(-bits)
    for data in TEXTS:
        if no_context:
            theirs = zlib.decompressobj(-bits)
        sent = ours.send_message(data, is_binary=True)
        assert sent[0] == FIN | RSV1 | BINARY
        assert theirs.decompress(unframed(sent) + b"\x00\x00\xff\xff") == data


def test_the_context_makes_the_second_message_small() -> None:
    with_context, without = server(Deflate()), server(Deflate(server_no_context_takeover=True))
    first = with_context.send_message(TEXTS[0], is_binary=False)
    assert len(with_context.send_message(TEXTS[0], is_binary=False)) < 12
    assert without.send_message(TEXTS[0], is_binary=False) == first
    assert without.send_message(TEXTS[0], is_binary=False) == first


def test_an_empty_end_forgets_the_context_too() -> None:
    ours = server(Deflate(server_no_context_takeover=True))
    whole = ours.send_message(TEXTS[0], is_binary=False)
    ours.send_fragment(TEXTS[0], is_binary=False, starts=True, ends=False)
    ours.send_fragment(b"", is_binary=False, starts=False, ends=True)
    assert ours.send_message(TEXTS[0], is_binary=False) == whole
