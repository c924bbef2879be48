"""A client whose plain streams bypass h2 does what one does that has them all in h2: equal parts and equal bytes.

Whatever the server sends, and whatever the client does meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from unittest.mock import patch

from hpack.hpack import Encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.engine.wire.http2 import streams as h2_streams
from mockrec.engine.wire.http2.client import H2Client
from mockrec.engine.wire.http2.hpack import FieldDecoder
from mockrec.engine.wire.http2.streams import StreamPart
from mockrec.engine.wire.parts import Fault, ResponsePart

ORDINARY = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
DATA, HEADERS, PRIORITY, RESET, SETTING, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END, WHOLE, PADDED = 1, 4, 8
CHANCE = st.integers(0, 1 << 32).map(random.Random)

Pairs = list[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Both:
    """Two clients, one with and one without the fast path, their server, and what the two must have in common."""

    def __init__(self, chance: random.Random, window: int) -> None:
        self.chance = chance
        self.encoder = Encoder()
        self.answered: set[int] = set()
        self.broken = False
        with patch.multiple(h2_streams, STREAM_WINDOW=window, CONNECTION_WINDOW=max(window, 65_536)):
            self.clients = [H2Client(head_limit=512, bypass=bypass) for bypass in (True, False)]
            for client in self.clients:
                client.start()
        self.receive(SETTINGS)

    def act(self, act: Callable[[H2Client], object]) -> None:
        fast, slow = [
            (act(client), client.pending_size, client.can_request, self.open(client)) for client in self.clients
        ]
        assert fast == slow

    def receive(self, raw: bytes) -> None:
        parts: list[list[object]] = [list(client.receive(raw)) for client in self.clients]
        assert parts[0] == parts[1]
        self.act(lambda client: None)
        for part in parts[0]:
            if isinstance(part, Fault):
                self.broken = True
            elif isinstance(part, StreamPart) and isinstance(part.part, ResponsePart):
                self.answered.add(part.stream)

    @staticmethod
    def open(client: H2Client) -> list[int]:
        return [stream for stream in range(1, 200, 2) if client.is_open(stream)]

    def head(self, stream: int, fields: Pairs, flags: int = WHOLE) -> bytes:
        block = self.encoder.encode(fields, huffman=self.chance.random() < 0.5)
        if self.chance.random() < 0.1:
            return frame(HEADERS, flags & END, stream, block[:2]) + frame(CONTINUATION, WHOLE, stream, block[2:])
        if self.chance.random() < 0.1:
            return frame(HEADERS, flags | PADDED | 0x20, stream, b"\2\0\0\0\0\1" + block + b"\0\0")
        return frame(HEADERS, flags, stream, block)

    def step(self) -> None:
        chance, fast = self.chance, self.clients[0]
        open_streams = self.open(fast)
        kind = chance.random()
        if kind < 0.03:
            self.receive(self.hostile())
        elif kind < 0.2 or not open_streams:
            method, end = chance.choice(["GET", "GET", "HEAD", "POST", "CONNECT"]), chance.random() < 0.9
            if fast.can_request:
                self.act(lambda client: client.request(method, "/", "https", "a.test", [("a", "b")], end=end))
        elif kind < 0.35:
            self.client_acts(chance.choice(open_streams))
        elif kind < 0.45:
            self.receive(self.control())
        else:
            stream = chance.choice(open_streams[:4])
            self.receive(self.content(stream) if stream in self.answered else self.response(stream))

    def client_acts(self, stream: int) -> None:
        size = self.chance.choice([1, 3, 100])
        act = self.chance.randrange(8)
        if act < 4:
            self.act(lambda client: client.consumed(stream, size))
        elif act == 4:
            self.act(lambda client: client.reset(stream, 8))
        else:
            self.act(lambda client: client.outgoing())

    def response(self, stream: int) -> bytes:
        chance = self.chance
        status = chance.choice([*["200"] * 6, "204", "304", "100", "103"])
        length = chance.choice([*[None] * 4, "0", "3", "6"])
        fields = [("server", "nginx"), *([] if length is None else [("content-length", length)])]
        if chance.random() < 0.2:
            fields.append((chance.choice(["x", "set-cookie"]), "y" * chance.choice([1, 300])))
        end = END if status[0] != "1" and chance.random() < 0.2 else 0
        return self.head(stream, [(":status", status), *fields], WHOLE | end)

    def content(self, stream: int) -> bytes:
        chance, end = self.chance, self.chance.choice([0, 0, 0, 0, END])
        data = chance.choice([b"", b"abc", b"abc", bytes(6), bytes(chance.randrange(30))])
        kind = chance.randrange(16)
        if kind < 11:
            return frame(DATA, end, stream, data)
        if kind == 11:
            return frame(DATA, end | PADDED, stream, b"\2" + data + b"\0\0")
        if kind == 12:
            return self.head(stream, [("grpc-status", "0")], WHOLE | END)
        if kind == 13:
            return frame(RESET, 0, stream, b"\0\0\0\7")
        return frame(*chance.choice([(PRIORITY, 0, stream, b"\0\0\0\0\1"), (WINDOW, 0, stream, b"\0\0\0\1")]))

    def control(self) -> bytes:
        pairs = [(1, 0), (1, 40), (3, 3), (3, 40), (4, 0), (4, 40), (5, 16384), (5, 20000)]
        name, value = self.chance.choice(pairs)
        self.encoder.header_table_size = self.chance.choice([4096, 4096, 100, 0])
        setting = frame(SETTING, 0, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big"))
        return self.chance.choice([setting, frame(PING, 0, 0, bytes(8)), frame(WINDOW, 0, 0, b"\0\0\0\1")])

    def hostile(self) -> bytes:
        """What breaks the connection, or is refused, in most states."""
        chance = self.chance
        stream = chance.choice([0, 1, 3, 5, 7, 9, 2, 199])
        fields = [(":status", chance.choice(["200", "103", "20"])), (chance.choice(["x", "X", "te"]), "y")]
        return chance.choice(
            [
                lambda: self.head(stream, fields[chance.randrange(2) :], WHOLE | chance.randrange(2)),
                lambda: frame(DATA, chance.choice([0, 1, 8, 9, 16]), stream, chance.randbytes(3)),
                lambda: frame(HEADERS, chance.choice([0, 4, 5]), stream, chance.randbytes(3)),
                lambda: frame(chance.randrange(12), chance.choice([0, 0, 1, 4]), stream, chance.randbytes(4)),
                lambda: frame(WINDOW, 0, stream, bytes(4)),
                lambda: frame(GOAWAY, 0, 0, stream.to_bytes(4, "big") + bytes(4)),
            ]
        )()


@given(CHANCE, st.sampled_from([5, 40, 100, 1 << 18]))
@ORDINARY
def test_streams_that_bypass_h2_behave_as_those_that_do_not(chance: random.Random, window: int) -> None:
    both = Both(chance, window)
    for _ in range(60):
        both.step()
        if both.broken:
            break
    if chance.random() < 0.3:
        both.act(lambda client: client.close())
    both.act(lambda client: client.receive_eof())
    both.act(lambda client: client.outgoing())


HEADS = st.lists(
    st.sampled_from(
        [(":status", "200"), ("server", "nginx"), ("date", "now"), ("x", "y" * 300), ("content-length", "3")]
    ),
    max_size=5,
)


@given(st.lists(st.tuples(HEADS, st.booleans(), st.sampled_from([None, None, 0, 50, 200, 4096])), max_size=30))
@ORDINARY
def test_blocks_that_were_decoded_before_are_read_as_new_ones(said: list[tuple[Pairs, bool, int | None]]) -> None:
    decoder, encoder = FieldDecoder(1 << 16, 0), Encoder()
    for fields, plain, size in said:
        if size is not None:
            encoder.header_table_size = size
        if plain:  # as nginx does: each field is a literal that is added to the table
            block = encoder.encode([]) if encoder.table_size_changes else b""
            for name, value in fields:
                block += b"\x40" + literal(name.encode()) + literal(value.encode())
                encoder.header_table.add(name.encode(), value.encode())
        else:
            block = encoder.encode(fields)
        decoder.decode(block)
        assert list(decoder.fields) == [(name.encode(), value.encode()) for name, value in fields]
        assert list(decoder.header_table.dynamic_entries) == list(encoder.header_table.dynamic_entries)


def literal(value: bytes) -> bytes:
    """A string literal (RFC 7541, 5.2)."""
    size = len(value)
    return (bytes((size,)) if size < 127 else bytes((127, (size - 127) % 128 | 0x80, (size - 127) // 128))) + value
