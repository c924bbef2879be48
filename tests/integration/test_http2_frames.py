"""HTTP/2 frame by frame: what RFC 9113 forbids is answered with the code it asks for, and is in the log.

The sections are those of h2spec's checklist (RFC 9113 and RFC 7541). One program serves all cases: each has a
connection of its own, by whose port it finds its records.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hpack.hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

Start = Callable[..., Any]
Record = dict[str, Any]
Fields = Sequence[tuple[str, str]]

SECONDS = 20.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CODES = {
    "NO_ERROR": 0,
    "PROTOCOL_ERROR": 1,
    "FLOW_CONTROL_ERROR": 3,
    "STREAM_CLOSED": 5,
    "FRAME_SIZE_ERROR": 6,
    "REFUSED_STREAM": 7,
    "CANCEL": 8,
    "COMPRESSION_ERROR": 9,
    "ENHANCE_YOUR_CALM": 11,
}
RULES = """\
version: 1
server: {limits: {streams: 20, head: 16KiB}}
rules:
  - {id: hello, when: {path: /hello}, then: {reply: {body: hello}}}
  - {id: early, when: {path: /early}, then: {reply: {status: 202}}}
  - {id: whole, when: {path: /whole, bodyRegex: ".*"}, then: {reply: {status: 201}}}
  - {id: held, when: {path: /held}, then: [{delay: 60s}, {reply: {}}]}
"""


# ── the client ─────────────────────────────────────────────────────────────────────────────────────


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame that hyperframe would not make."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Wire:
    """A client of single frames."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.port: int = sock.getsockname()[1]
        self.encoder = Encoder()
        self.decoder = Decoder()
        self._buffer = b""

    def begin(self, settings: dict[int, int] | None = None) -> None:
        """The preface, and the server's."""
        self.say(PREFACE, SettingsFrame(0, settings=settings or {}))
        first = self.read()
        assert isinstance(first, SettingsFrame) and "ACK" not in first.flags

    def say(self, *said: Frame | bytes) -> None:
        self.sock.sendall(b"".join(one if isinstance(one, bytes) else one.serialize() for one in said))

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        while True:
            if len(self._buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self._buffer[:9]))
                if len(self._buffer) >= 9 + length:
                    frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
                    self._buffer = self._buffer[9 + length :]
                    if isinstance(frame, HeadersFrame):
                        frame.fields = self.decoder.decode(frame.data)  # type: ignore[attr-defined]
                    return frame
            data = self.sock.recv(65536)
            if not data:
                assert not self._buffer, "the end inside a frame"
                return None
            self._buffer += data

    def there(self) -> list[Frame]:
        """The frames that have come, as far as they are complete."""
        self._buffer += self.sock.recv(65536)
        found = []
        while len(self._buffer) >= 9 and len(self._buffer) >= 9 + int.from_bytes(self._buffer[:3], "big"):
            frame = self.read()
            assert frame is not None
            found.append(frame)
        return found

    def until(self, kind: type[Frame], stream: int = 0) -> Any:
        """The next frame of a kind on a stream."""
        while (frame := self.read()) is not None:
            if isinstance(frame, kind) and frame.stream_id == stream:
                return frame
        raise AssertionError(f"the end came before a {kind.__name__}")

    def rest(self) -> list[Frame]:
        return list(iter(self.read, None))  # type: ignore[arg-type]

    def acknowledged(self) -> list[Frame]:
        """Everything that was sent before a ping of ours came back."""
        self.say(PingFrame(0, b"so far.."))
        heard = []
        while (frame := self.read()) is not None:
            if isinstance(frame, PingFrame) and frame.opaque_data == b"so far..":
                return heard
            heard.append(frame)
        raise AssertionError(f"the connection has ended after {heard}")

    # what is said often

    def head(
        self,
        stream: int,
        path: str = "/held",
        *more: tuple[str, str],
        method: str = "GET",
        end: bool = True,
        flags: Sequence[str] = ("END_HEADERS",),
        fields: Fields | None = None,
    ) -> HeadersFrame:
        if fields is None:
            fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h.test"), *more]
        return self.block(stream, self.encoder.encode(fields), end=end, flags=flags)

    def block(self, stream: int, data: bytes, *, end: bool = True, flags: Sequence[str] = ("END_HEADERS",)) -> Any:
        return HeadersFrame(stream, data, flags=[*flags, *(["END_STREAM"] if end else [])])

    def post(self, stream: int, path: str = "/held", *more: tuple[str, str]) -> HeadersFrame:
        return self.head(stream, path, *more, method="POST", end=False)

    def ask(self, stream: int) -> None:
        """A request, and its answer: the stream is closed then."""
        self.say(self.head(stream, "/hello"))
        while "END_STREAM" not in self.until(DataFrame, stream).flags:
            pass


# ── what is expected ───────────────────────────────────────────────────────────────────────────────


class Case:
    """What a client does, and what becomes of it."""

    def __init__(self, name: str, code: str, act: Callable[[Wire], object], stream: int = 0, begun: int = 0) -> None:
        self.name = name
        self.code = code
        self.act = act
        self.stream = stream
        """The stream that ends, 0 for the connection."""
        self.begun = begun
        """How many exchanges end with it."""


def ends(code: str, name: str, act: Callable[[Wire], object], begun: int = 0) -> Any:
    """The connection ends with a code."""
    return pytest.param(Case(name, code, act, begun=begun), id=name)


def resets(code: str, name: str, act: Callable[[Wire], object], *, stream: int = 1, begun: int = 0) -> Any:
    """A stream ends with a code, and the connection goes on."""
    return pytest.param(Case(name, code, act, stream, begun), id=name)


class Logged:
    """The log of the program while it runs."""

    eventually: Callable[..., None]

    def __init__(self, run: Any) -> None:
        self._file = run.log.open("rb")
        self._rest = b""
        self._records: list[Record] = []

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self._records += map(json.loads, lines)

    def of(self, port: int, wanted: Callable[[list[Record]], bool]) -> list[Record]:
        """The records of a client's connection, as soon as they are as wanted."""
        found: list[Record] = []

        def there() -> bool:
            self._read()
            connections = [
                record["connectionId"]
                for record in self._records
                if port in (record.get("remotePort"), record.get("request", {}).get("remotePort"))
                and "connectionId" in record
            ]
            # The last one: an earlier connection may have had the same port.
            found[:] = [record for record in self._records if record.get("connectionId") in connections[-1:]]
            return wanted(found)

        self.eventually(there, "the log does not say so")
        return found

    def close(self) -> None:
        self._file.close()


def kinds(records: list[Record], kind: str) -> list[Record]:
    return [record for record in records if record["type"] == kind]


@pytest.fixture(scope="module")
def run(shared_recorder: Start, pki: Any) -> Iterator[Any]:
    running = shared_recorder(RULES, *pki.options)
    yield running
    session = running.stop()
    assert session.code == 0 and "Traceback" not in session.stderr


@pytest.fixture(scope="module")
def log(run: Any) -> Iterator[Logged]:
    made = Logged(run)
    yield made
    made.close()


@pytest.fixture
def logged(log: Logged, eventually: Any) -> Logged:
    log.eventually = eventually
    return log


@pytest.fixture(scope="module")
def ports() -> set[int]:
    """The ports that clients have had: each finds its records by its own."""
    return set()


@pytest.fixture
def sock(run: Any, ports: set[int]) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as opened:
        while True:
            found = opened.enter_context(socket.create_connection(("127.0.0.1", run.port), SECONDS))
            if found.getsockname()[1] not in ports:
                break
        ports.add(found.getsockname()[1])
        yield found


@pytest.fixture
def wire(sock: socket.socket) -> Wire:
    return Wire(sock)


@pytest.fixture
def tls_wire(sock: socket.socket, pki: Any) -> Iterator[Wire]:
    context: ssl.SSLContext = pki.trusting
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(sock, server_hostname="localhost") as tls:
        yield Wire(tls)


def check(case: Case, wire: Wire, logged: Logged) -> None:
    """Let it happen; look at the answer and the log."""
    case.act(wire)
    if case.stream:
        reset = wire.until(RstStreamFrame, case.stream)
        assert reset.error_code == CODES[case.code]
        after = 101 if case.stream < 101 else case.stream + 2
        wire.ask(after)  # the connection goes on
    else:
        *before, last = wire.rest()
        assert isinstance(last, GoAwayFrame) and last.error_code == CODES[case.code]
        assert [frame for frame in before if isinstance(frame, (RstStreamFrame, GoAwayFrame))] == []
    found = logged.of(
        wire.port, lambda found: kinds(found, "client-error") != [] and len(kinds(found, "abort")) >= case.begun
    )
    (error,) = kinds(found, "client-error")
    assert error["errorCode"] == "ERR_HTTP2_ERROR"
    assert error["errorMessage"].endswith(f" ({case.code})")
    assert error["aborted"] is True
    aborts = [record["error"]["code"] for record in kinds(found, "abort")]
    assert aborts == ["ERR_HTTP2_ERROR"] * case.begun
    if case.stream and case.begun:
        assert error["exchangeId"] == kinds(found, "abort")[0]["id"]


# ── tables ─────────────────────────────────────────────────────────────────────────────────────────


HELD = [(":method", "GET"), (":scheme", "http"), (":path", "/held"), (":authority", "h.test")]
SETTING = SettingsFrame


def opened(wire: Wire, stream: int = 1) -> None:
    """A request whose body is to come, and whose answer takes its time."""
    wire.say(wire.post(stream))


def half_closed(wire: Wire, stream: int = 1) -> None:
    """A request that is complete, and whose answer takes its time."""
    wire.say(wire.head(stream))


def given_up(wire: Wire, stream: int = 1) -> None:
    """A stream that the client has reset."""
    wire.say(wire.post(stream), RstStreamFrame(stream, CODES["CANCEL"]))


def then(first: Callable[[Wire], object], *said: Frame | bytes) -> Callable[[Wire], None]:
    def act(wire: Wire) -> None:
        first(wire)
        wire.say(*said)

    return act


def says(*said: Frame | bytes) -> Callable[[Wire], None]:
    return lambda wire: wire.say(*said)


def heads(*more: tuple[str, str], fields: Fields | None = None, end: bool = True) -> Callable[[Wire], None]:
    return lambda wire: wire.say(wire.head(1, "/held", *more, fields=fields, end=end))


def asked(wire: Wire) -> None:
    wire.ask(1)


CONNECTION = [
    ends("FRAME_SIZE_ERROR", "4.2 a HEADERS frame that is too large", lambda w: w.say(w.block(1, bytes(16385)))),
    ends("FRAME_SIZE_ERROR", "4.2 a SETTINGS frame that is too large", says(raw(4, 0, 0, bytes(6 * 2731)))),
    ends("COMPRESSION_ERROR", "4.3 a block that is none", lambda w: w.say(w.block(1, b"\xff\xff\xff\xff\xff"))),
    ends("PROTOCOL_ERROR", "4.3 PRIORITY inside a block", lambda w: w.say(w.head(1, flags=()), PriorityFrame(1))),
    ends("PROTOCOL_ERROR", "4.3 HEADERS of another stream inside a block", lambda w: w.say(w.head(1, flags=()), w.head(3))),
    ends("PROTOCOL_ERROR", "4.3 HEADERS of the same stream inside a block", lambda w: w.say(w.head(1, flags=()), w.head(1))),
    ends("PROTOCOL_ERROR", "4.3 RST_STREAM inside a block", lambda w: w.say(w.head(1, flags=()), RstStreamFrame(1))),
    ends("PROTOCOL_ERROR", "4.3 DATA inside a block", lambda w: w.say(w.head(1, flags=(), end=False), DataFrame(1, b"a"))),
    ends("PROTOCOL_ERROR", "4.3 SETTINGS inside a block", lambda w: w.say(w.head(1, flags=()), SettingsFrame(0))),
    ends("PROTOCOL_ERROR", "4.3 PING inside a block", lambda w: w.say(w.head(1, flags=()), PingFrame(0))),
    ends("PROTOCOL_ERROR", "4.3 GOAWAY inside a block", lambda w: w.say(w.head(1, flags=()), GoAwayFrame(0))),
    ends("PROTOCOL_ERROR", "4.3 WINDOW_UPDATE inside a block", lambda w: w.say(w.head(1, flags=()), WindowUpdateFrame(0, 1))),
    ends("PROTOCOL_ERROR", "4.3 an unknown frame inside a block", lambda w: w.say(w.head(1, flags=()), raw(0xFA, 0, 1))),
    ends("PROTOCOL_ERROR", "5.1 DATA on an idle stream", says(DataFrame(1, b"a"))),
    ends("PROTOCOL_ERROR", "5.1 RST_STREAM on an idle stream", says(RstStreamFrame(1))),
    ends("PROTOCOL_ERROR", "5.1 WINDOW_UPDATE on an idle stream", says(WindowUpdateFrame(1, 1))),
    ends("PROTOCOL_ERROR", "5.1 CONTINUATION on an idle stream", says(ContinuationFrame(1, flags=["END_HEADERS"]))),
    ends("PROTOCOL_ERROR", "5.1 CONTINUATION on a half-closed stream", then(half_closed, ContinuationFrame(1, flags=["END_HEADERS"])), 1),
    ends("PROTOCOL_ERROR", "5.1 CONTINUATION on a closed stream", then(asked, ContinuationFrame(1, flags=["END_HEADERS"]))),
    ends("STREAM_CLOSED", "5.1 HEADERS on a closed stream", lambda w: (asked(w), w.say(w.head(1)))),
    ends("PROTOCOL_ERROR", "5.1.1 an even stream", lambda w: w.say(w.head(2))),
    ends("PROTOCOL_ERROR", "5.1.1 a stream with a smaller number", lambda w: (w.ask(5), w.say(w.head(3)))),
    ends("FRAME_SIZE_ERROR", "5.4.1 a PING of the wrong size", says(raw(6, 0, 0, b"short"))),
    ends("PROTOCOL_ERROR", "6.1 DATA on stream 0", says(raw(0, 0, 0, b"a"))),
    ends("PROTOCOL_ERROR", "6.1 padding that is all there is", then(opened, raw(0, 8, 1, b"\x05abcd")), 1),
    ends("PROTOCOL_ERROR", "6.2 HEADERS on stream 0", lambda w: w.say(raw(1, 5, 0, w.encoder.encode(HELD)))),
    ends("PROTOCOL_ERROR", "6.2 padding that is all there is", lambda w: w.say(raw(1, 0xD, 1, b"\xff" + w.encoder.encode(HELD)))),
    ends("PROTOCOL_ERROR", "6.3 PRIORITY on stream 0", says(raw(2, 0, 0, bytes(5)))),
    ends("PROTOCOL_ERROR", "6.4 RST_STREAM on stream 0", says(raw(3, 0, 0, bytes(4)))),
    ends("FRAME_SIZE_ERROR", "6.4 RST_STREAM of the wrong size", then(opened, raw(3, 0, 1, bytes(3))), 1),
    ends("FRAME_SIZE_ERROR", "6.5 SETTINGS ACK with settings", says(raw(4, 1, 0, bytes(6)))),
    ends("PROTOCOL_ERROR", "6.5 SETTINGS on a stream", says(raw(4, 0, 1, bytes(6)))),
    ends("FRAME_SIZE_ERROR", "6.5 SETTINGS of the wrong size", says(raw(4, 0, 0, bytes(5)))),
    ends("PROTOCOL_ERROR", "6.5.2 ENABLE_PUSH is neither", says(SETTING(0, settings={SETTING.ENABLE_PUSH: 2}))),
    ends("FLOW_CONTROL_ERROR", "6.5.2 INITIAL_WINDOW_SIZE is too large", says(SETTING(0, settings={SETTING.INITIAL_WINDOW_SIZE: 2**31}))),
    ends("PROTOCOL_ERROR", "6.5.2 MAX_FRAME_SIZE is too small", says(SETTING(0, settings={SETTING.MAX_FRAME_SIZE: 16383}))),
    ends("PROTOCOL_ERROR", "6.5.2 MAX_FRAME_SIZE is too large", says(SETTING(0, settings={SETTING.MAX_FRAME_SIZE: 2**24}))),
    ends("PROTOCOL_ERROR", "6.6 PUSH_PROMISE of a client", lambda w: (opened(w), w.say(PushPromiseFrame(1, 2, w.encoder.encode(HELD), flags=["END_HEADERS"]))), 1),
    ends("PROTOCOL_ERROR", "6.7 PING on a stream", says(raw(6, 0, 1, bytes(8)))),
    ends("FRAME_SIZE_ERROR", "6.7 PING of the wrong size", says(raw(6, 0, 0, bytes(9)))),
    ends("PROTOCOL_ERROR", "6.8 GOAWAY on a stream", says(raw(7, 0, 1, bytes(8)))),
    ends("FRAME_SIZE_ERROR", "6.8 GOAWAY of the wrong size", says(raw(7, 0, 0, bytes(7)))),
    ends("PROTOCOL_ERROR", "6.9 the connection's window opened by nothing", says(raw(8, 0, 0, bytes(4)))),
    ends("FRAME_SIZE_ERROR", "6.9 WINDOW_UPDATE of the wrong size", says(raw(8, 0, 0, bytes(3)))),
    ends("FLOW_CONTROL_ERROR", "6.9.1 the connection's window opened too far", says(WindowUpdateFrame(0, 2**31 - 1), WindowUpdateFrame(0, 1))),
    ends("FLOW_CONTROL_ERROR", "6.9.2 settings open a stream's window too far", then(opened, WindowUpdateFrame(1, 2**30), SETTING(0, settings={SETTING.INITIAL_WINDOW_SIZE: 2**31 - 1})), 1),
    ends("PROTOCOL_ERROR", "6.10 CONTINUATION behind a whole block", lambda w: (half_closed(w), w.say(ContinuationFrame(1, w.encoder.encode([("a", "b")]), flags=["END_HEADERS"]))), 1),
    ends("PROTOCOL_ERROR", "6.10 CONTINUATION behind the last one", lambda w: w.say(w.head(1, flags=()), ContinuationFrame(1, flags=["END_HEADERS"]), ContinuationFrame(1, flags=["END_HEADERS"])), 1),
    ends("PROTOCOL_ERROR", "6.10 CONTINUATION on stream 0", lambda w: w.say(w.head(1, flags=()), raw(9, 4, 0))),
    ends("PROTOCOL_ERROR", "6.10 CONTINUATION of another stream", lambda w: w.say(w.head(1, flags=()), ContinuationFrame(3, flags=["END_HEADERS"]))),
    ends("PROTOCOL_ERROR", "6.10 CONTINUATION behind DATA", then(opened, DataFrame(1, b"a"), ContinuationFrame(1, flags=["END_HEADERS"])), 1),
    ends("COMPRESSION_ERROR", "HPACK 2.3.3 an index beyond the tables", lambda w: w.say(w.block(1, b"\x82\x86\x84\xff\x2f"))),
    ends("COMPRESSION_ERROR", "HPACK 4.2 the table changes its size behind a field", lambda w: w.say(w.block(1, w.encoder.encode(HELD) + b"\x20"))),
    ends("COMPRESSION_ERROR", "HPACK 5.2 Huffman padding of eight bits", lambda w: w.say(w.block(1, b"\x82\x86\x84\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"))),
    ends("COMPRESSION_ERROR", "HPACK 5.2 Huffman padding of zeros", lambda w: w.say(w.block(1, b"\x82\x86\x84\x00\x85\xf2\xb2\x4a\x84\x00\x82\x49\x50"))),
    ends("COMPRESSION_ERROR", "HPACK 5.2 the end of a string in a string", lambda w: w.say(w.block(1, b"\x82\x86\x84\x00\x01x\x84\xff\xff\xff\xff"))),
    ends("COMPRESSION_ERROR", "HPACK 6.1 index 0", lambda w: w.say(w.block(1, b"\x80"))),
    ends("COMPRESSION_ERROR", "HPACK 6.3 a table larger than allowed", lambda w: w.say(w.block(1, b"\x3f\xe2\x1f" + w.encoder.encode(HELD)))),
    ends("COMPRESSION_ERROR", "HPACK 5.1 an integer without end", lambda w: w.say(w.block(1, b"\x1f" + b"\xff" * 20))),
    ends("COMPRESSION_ERROR", "HPACK 5.2 a string longer than its block", lambda w: w.say(w.block(1, b"\x00\x05a"))),
]  # fmt: skip

STREAM = [
    resets("STREAM_CLOSED", "5.1 DATA on a half-closed stream", then(half_closed, DataFrame(1, b"a")), begun=1),
    resets("STREAM_CLOSED", "5.1 HEADERS on a half-closed stream", lambda w: (half_closed(w), w.say(w.head(1))), begun=1),
    resets("PROTOCOL_ERROR", "6.9 a window opened by nothing", then(opened, raw(8, 0, 1, bytes(4))), begun=1),
    resets("FLOW_CONTROL_ERROR", "6.9.1 a window opened too far", then(opened, WindowUpdateFrame(1, 2**31 - 1)), begun=1),
    resets("PROTOCOL_ERROR", "8.1 trailers that do not end the stream", lambda w: (opened(w), w.say(w.head(1, fields=[("a", "b")], end=False))), begun=1),
    resets("PROTOCOL_ERROR", "8.1.1 a body shorter than announced", lambda w: w.say(w.post(1, "/held", ("content-length", "2")), DataFrame(1, b"a", flags=["END_STREAM"])), begun=1),
    resets("PROTOCOL_ERROR", "8.1.1 a body longer than announced", lambda w: w.say(w.post(1, "/held", ("content-length", "2")), DataFrame(1, b"a"), DataFrame(1, b"bc")), begun=1),
    resets("PROTOCOL_ERROR", "8.1.1 a body that is announced and does not follow", heads(("content-length", "1"))),
    resets("PROTOCOL_ERROR", "8.1.1 a length that is none", heads(("content-length", "one"), end=False)),
    resets("PROTOCOL_ERROR", "8.1.1 two lengths", heads(("content-length", "1"), ("content-length", "2"), end=False)),
    resets("PROTOCOL_ERROR", "8.2.1 a name in upper case", heads(("X-Test", "a"))),
    resets("PROTOCOL_ERROR", "8.2.1 a name with a space", heads(("x test", "a"))),
    resets("PROTOCOL_ERROR", "8.2.1 a name with a colon", heads(("x:test", "a"))),
    resets("PROTOCOL_ERROR", "8.2.1 an empty name", heads(("", "a"))),
    resets("PROTOCOL_ERROR", "8.2.1 a value with a line feed", heads(("x", "a\nb"))),
    resets("PROTOCOL_ERROR", "8.2.1 a value with a NUL", heads(("x", "a\0"))),
    resets("PROTOCOL_ERROR", "8.2.1 a value that begins with a space", heads(("x", " a"))),
    *(
        resets("PROTOCOL_ERROR", f"8.2.2 {name}", heads((name, value)))
        for name, value in [
            ("connection", "keep-alive"),
            ("keep-alive", "1"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "trailers, deflate"),
        ]
    ),
    resets("PROTOCOL_ERROR", "8.3 an unknown pseudo-header", heads(fields=[*HELD, (":test", "a")])),
    resets("PROTOCOL_ERROR", "8.3 a pseudo-header of answers", heads(fields=[*HELD, (":status", "200")])),
    resets("PROTOCOL_ERROR", "8.3 a pseudo-header behind a field", heads(fields=[*HELD[:3], ("x", "a"), HELD[3]])),
    resets("PROTOCOL_ERROR", "8.1 a pseudo-header among the trailers", lambda w: (opened(w), w.say(w.head(1, fields=[(":method", "GET")]))), begun=1),
    resets("PROTOCOL_ERROR", "8.2.2 connection among the trailers", lambda w: (opened(w), w.say(w.head(1, fields=[("connection", "close")]))), begun=1),
    *(resets("PROTOCOL_ERROR", f"8.3.1 no {HELD[at][0]}", heads(fields=HELD[:at] + HELD[at + 1 :])) for at in range(4)),
    *(resets("PROTOCOL_ERROR", f"8.3.1 {HELD[at][0]} twice", heads(fields=[*HELD, HELD[at]])) for at in range(4)),
    resets("PROTOCOL_ERROR", "8.3.1 an empty path", heads(fields=[*HELD[:2], (":path", ""), HELD[3]])),
    resets("PROTOCOL_ERROR", "8.3.1 a path without a slash", heads(fields=[*HELD[:2], (":path", "held"), HELD[3]])),
    resets("PROTOCOL_ERROR", "8.3.1 a star for GET", heads(fields=[*HELD[:2], (":path", "*"), HELD[3]])),
    resets("PROTOCOL_ERROR", "8.3.1 userinfo in the authority", heads(fields=[*HELD[:3], (":authority", "u@h.test")])),
    resets("PROTOCOL_ERROR", "8.5 CONNECT with a path", heads(fields=[(":method", "CONNECT"), *HELD[1:]])),
    resets("PROTOCOL_ERROR", "8.5 CONNECT without an authority", heads(fields=[(":method", "CONNECT")])),
    resets("PROTOCOL_ERROR", "RFC 8441 :protocol without CONNECT", heads(fields=[*HELD, (":protocol", "websocket")])),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CONNECTION, *STREAM])
def test_what_is_forbidden(case: Case, wire: Wire, logged: Logged) -> None:
    wire.begin()
    check(case, wire, logged)


@pytest.mark.parametrize("case", [CONNECTION[0], CONNECTION[2], CONNECTION[23], STREAM[0], STREAM[10]])
def test_over_tls_too(case: Case, tls_wire: Wire, logged: Logged) -> None:
    tls_wire.begin()
    check(case, tls_wire, logged)


# ── after the end of a stream ──────────────────────────────────────────────────────────────────────


LATE = [
    resets("STREAM_CLOSED", "6.1 DATA on a closed stream", then(asked, DataFrame(1, b"a"))),
    resets("STREAM_CLOSED", "5.1 DATA on a stream that the client has reset", then(given_up, DataFrame(1, b"a"))),
    resets("STREAM_CLOSED", "5.1 HEADERS on a stream that the client has reset", lambda w: (given_up(w), w.say(w.head(1)))),
]  # fmt: skip


@pytest.mark.parametrize("case", LATE)
def test_what_comes_too_late(case: Case, wire: Wire, logged: Logged) -> None:
    wire.begin()
    case.act(wire)
    assert wire.until(RstStreamFrame, 1).error_code == CODES[case.code]
    wire.say(DataFrame(1, b"more"))
    assert wire.until(RstStreamFrame, 1).error_code == CODES[case.code]
    wire.ask(3)
    found = logged.of(wire.port, lambda found: len(kinds(found, "client-error")) == 1)
    (error,) = kinds(found, "client-error")
    assert error["errorMessage"] == "a frame after the end of a stream (STREAM_CLOSED)"
    assert all(record.get("error", {}).get("code") in (None, "ECONNRESET") for record in kinds(found, "abort"))


def test_what_the_client_could_not_know_is_no_error(wire: Wire, logged: Logged) -> None:
    wire.begin()
    wire.say(
        wire.head(1, "/hello", ("connection", "close"), end=False),
        DataFrame(1, b"a"),
        DataFrame(1, b"b", flags=["END_STREAM"]),
    )
    wire.ask(3)
    found = logged.of(wire.port, lambda found: kinds(found, "response") != [])
    assert len(kinds(found, "client-error")) == 1


# ── before anything else ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r?", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_a_broken_preface_without_tls_is_an_http_1_request(wire: Wire, logged: Logged, first: bytes) -> None:
    wire.say(first)
    said = b""
    while data := wire.sock.recv(65536):
        said += data
    assert said.startswith(b"HTTP/1.1 400 ")
    (error,) = logged.of(wire.port, lambda found: kinds(found, "client-error") != [])
    assert error["errorCode"] == "HPE_INVALID_METHOD"


@pytest.mark.parametrize(
    "first", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n", b"\x16?"]
)
def test_a_broken_preface_where_http_2_was_agreed_on(tls_wire: Wire, logged: Logged, first: bytes) -> None:
    tls_wire.say(first)
    goaway = tls_wire.rest()[-1]
    assert isinstance(goaway, GoAwayFrame) and goaway.error_code == CODES["PROTOCOL_ERROR"]
    (error,) = logged.of(tls_wire.port, lambda found: kinds(found, "client-error") != [])
    assert error["errorCode"] == "ERR_HTTP2_ERROR"
    assert "client-error:bad-preface" in error["request"]["tags"]


@pytest.mark.parametrize("first", [PingFrame(0), SettingsFrame(0, flags=["ACK"]), WindowUpdateFrame(0, 1)])
def test_the_first_frame_must_be_settings(wire: Wire, logged: Logged, first: Frame) -> None:
    check(Case("3.4", "PROTOCOL_ERROR", says(PREFACE, first)), wire, logged)


@pytest.mark.parametrize(
    "said", [PREFACE[:10], PREFACE + b"\0\0\0\4", PREFACE + raw(4, 0, 0) + raw(0, 0, 1, b"abc")[:10]]
)
def test_the_end_inside_a_frame_or_the_preface(wire: Wire, logged: Logged, said: bytes) -> None:
    wire.say(said)
    wire.sock.shutdown(socket.SHUT_WR)
    while wire.sock.recv(65536):
        pass
    (error,) = logged.of(wire.port, lambda found: kinds(found, "client-error") != [])
    assert error["errorCode"] == ("HPE_INVALID_METHOD" if len(said) < len(PREFACE) else "ERR_HTTP2_ERROR")


# ── floods ─────────────────────────────────────────────────────────────────────────────────────────


def many(frame: Frame | bytes, times: int = 1500) -> list[Frame | bytes]:
    return [frame] * times


def rapid_resets(wire: Wire) -> None:
    for stream in range(1, 2 * 202, 2):
        wire.say(wire.head(stream, "/early"), RstStreamFrame(stream, CODES["CANCEL"]))


def bomb(wire: Wire) -> None:
    """A few bytes that become many fields (CVE-2016-6581)."""
    wire.say(wire.block(1, wire.encoder.encode([*HELD, ("x", "y" * 3500)]) + b"\xbe" * 1000))


FLOODS = [
    ends("ENHANCE_YOUR_CALM", "pings", says(*many(PingFrame(0)))),
    ends("ENHANCE_YOUR_CALM", "settings", says(*many(SettingsFrame(0)))),
    ends("ENHANCE_YOUR_CALM", "settings at once", says(raw(4, 0, 0, b"".join(bytes((0, at, 0, 0, 0, 1)) for at in range(16, 49))))),
    ends("ENHANCE_YOUR_CALM", "priorities", says(*many(PriorityFrame(1)))),
    ends("ENHANCE_YOUR_CALM", "unknown frames", says(*many(raw(0xFA, 0, 0)))),
    ends("ENHANCE_YOUR_CALM", "window updates", then(half_closed, *many(WindowUpdateFrame(1, 1))), 1),
    ends("ENHANCE_YOUR_CALM", "empty data", then(opened, *many(DataFrame(1))), 1),
    ends("ENHANCE_YOUR_CALM", "padding alone", then(opened, *many(DataFrame(1, pad_length=9, flags=["PADDED"]))), 1),
    ends("ENHANCE_YOUR_CALM", "continuations", lambda w: w.say(w.head(1, flags=()), *many(ContinuationFrame(1, bytes(16000)), 5))),
    ends("ENHANCE_YOUR_CALM", "fields", bomb),
    ends("ENHANCE_YOUR_CALM", "resets", rapid_resets),
]  # fmt: skip


@pytest.mark.parametrize("case", FLOODS)
def test_floods(case: Case, wire: Wire, logged: Logged) -> None:
    wire.begin()
    case.act(wire)
    goaway = wire.until(GoAwayFrame)
    assert goaway.error_code == CODES["ENHANCE_YOUR_CALM"]
    assert wire.rest() == []
    found = logged.of(
        wire.port, lambda found: len(kinds(found, "client-error")) == 1 and len(kinds(found, "abort")) >= case.begun
    )
    (error,) = kinds(found, "client-error")
    assert error["errorMessage"].endswith("(ENHANCE_YOUR_CALM)")
    assert ("header-overflow" in error["request"]["tags"]) is (case.name in ("continuations", "fields"))


def test_continuations_that_carry_nothing(wire: Wire, logged: Logged) -> None:
    wire.begin()
    wire.say(wire.head(1, flags=()), *many(ContinuationFrame(1), 100))
    assert wire.until(GoAwayFrame).error_code in (CODES["PROTOCOL_ERROR"], CODES["ENHANCE_YOUR_CALM"])
    logged.of(wire.port, lambda found: len(kinds(found, "client-error")) == 1)


def test_more_streams_than_allowed(wire: Wire, logged: Logged) -> None:
    wire.begin()
    wire.say(*(wire.head(stream) for stream in range(1, 43, 2)))
    assert wire.until(RstStreamFrame, 41).error_code == CODES["REFUSED_STREAM"]
    assert [frame for frame in wire.acknowledged() if isinstance(frame, (RstStreamFrame, GoAwayFrame))] == []
    found = logged.of(wire.port, lambda found: kinds(found, "client-error") != [])
    (error,) = kinds(found, "client-error")
    assert error["errorMessage"] == "too many streams at once (REFUSED_STREAM)"
    assert (error["request"]["method"], error["request"]["url"]) == ("GET", "http://h.test/held")
    assert len(kinds(found, "request")) == 20


def test_a_head_that_is_too_large_is_answered(wire: Wire, logged: Logged) -> None:
    wire.begin()
    wire.say(wire.head(1, "/held", ("x-large", "y" * 17_000)))
    head = wire.until(HeadersFrame, 1)
    assert (":status", "431") in head.fields and "END_STREAM" not in head.flags
    body = wire.until(DataFrame, 1)
    assert body.data.startswith(b"mockrec refused this request: 431 ") and "END_STREAM" in body.flags
    wire.ask(3)
    (error,) = kinds(logged.of(wire.port, lambda found: kinds(found, "client-error") != []), "client-error")
    assert error["errorCode"] == "HPE_HEADER_OVERFLOW" and error["response"]["statusCode"] == 431
    assert error["request"]["path"] == "/held" and "header-overflow" in error["request"]["tags"]


# ── flow control ───────────────────────────────────────────────────────────────────────────────────


def test_the_stream_s_window_bounds_the_answer(wire: Wire) -> None:
    wire.begin({SettingsFrame.INITIAL_WINDOW_SIZE: 1})
    wire.say(wire.head(1, "/hello"))
    wire.until(HeadersFrame, 1)
    assert wire.until(DataFrame, 1).data == b"h"
    assert [frame for frame in wire.acknowledged() if isinstance(frame, DataFrame)] == []
    wire.say(WindowUpdateFrame(1, 3))
    assert wire.until(DataFrame, 1).data == b"ell"
    wire.say(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2}))
    last = wire.until(DataFrame, 1)
    assert last.data == b"o" and "END_STREAM" in last.flags


def test_a_window_may_become_negative(wire: Wire) -> None:
    wire.begin({SettingsFrame.INITIAL_WINDOW_SIZE: 3})
    wire.say(wire.head(1, "/hello"))
    assert wire.until(DataFrame, 1).data == b"hel"
    wire.say(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}), WindowUpdateFrame(1, 2))
    assert [frame for frame in wire.acknowledged() if isinstance(frame, DataFrame)] == []
    wire.say(WindowUpdateFrame(1, 2))
    assert wire.until(DataFrame, 1).data == b"lo"


def test_the_last_of_several_window_sizes_counts(wire: Wire) -> None:
    wire.say(PREFACE, raw(4, 0, 0, b"\0\4\0\0\0\x64" + b"\0\4\0\0\0\1"))
    wire.say(wire.head(1, "/hello"))
    assert wire.until(DataFrame, 1).data == b"h"


@pytest.mark.parametrize("streams", [1, 5])
def test_more_data_than_the_windows_allow(recorder: Start, upstream: Any, streams: int) -> None:
    """The server behind us reads nothing, so we take nothing either; five streams fill the connection's window first."""
    goes_on = threading.Event()
    server = upstream(serve=lambda served: served.wait(goes_on))
    run = recorder(f"version: 1\nrules:\n  - then: {{forward: {{to: '{server.url}'}}}}\n")
    with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
        wire = Wire(sock)
        wire.begin()
        numbers = range(1, 2 * streams, 2)
        wire.say(*(wire.post(number) for number in numbers))
        pieces = [DataFrame(number, bytes(16384)).serialize() for number in numbers]
        try:
            for at in range((200 << 20) // 16384):
                wire.say(pieces[at % streams])
                if select.select([sock], [], [], 0)[0]:
                    last = [one for one in wire.there() if isinstance(one, GoAwayFrame)]
                    if last:
                        break
            else:
                raise AssertionError("200 MB were taken without a window")
        finally:
            goes_on.set()
        assert last[0].error_code == CODES["FLOW_CONTROL_ERROR"]
    session = run.stop()
    assert session.one("client-error")["errorMessage"].endswith("(FLOW_CONTROL_ERROR)")
    assert {record["error"]["code"] for record in session.by_type("abort")} == {"ERR_HTTP2_ERROR"}


# ── what is allowed ────────────────────────────────────────────────────────────────────────────────


LEGAL = {
    "4.1 an unknown frame": says(raw(0xFA, 0xFF, 0, b"what?"), raw(0xFB, 0, 1, b"")),
    "4.1 unknown flags": says(raw(6, 0x16, 0, b"12345678")),
    "4.1 the reserved bit": says(raw(6, 0, 0x80000000, b"12345678")),
    "4.2 a frame of the largest size": then(opened, DataFrame(1, bytes(16384))),
    "5.1 PRIORITY on an idle stream": says(PriorityFrame(7, depends_on=3, stream_weight=9)),
    "5.1 PRIORITY on a closed stream": then(asked, PriorityFrame(1)),
    "5.1 WINDOW_UPDATE on a closed stream": then(asked, WindowUpdateFrame(1, 100)),
    "5.1 RST_STREAM on a closed stream": then(asked, RstStreamFrame(1)),
    "5.1 WINDOW_UPDATE on a half-closed stream": then(half_closed, WindowUpdateFrame(1, 100)),
    "6.1 padding": then(opened, DataFrame(1, b"a", pad_length=255, flags=["PADDED"])),
    "6.1 empty data": then(opened, DataFrame(1), DataFrame(1)),
    "6.2 padding and priority": lambda w: w.say(
        HeadersFrame(1, w.encoder.encode(HELD), pad_length=3, flags=["PADDED", "PRIORITY", "END_HEADERS", "END_STREAM"])
    ),
    "6.4 an unknown code": then(opened, RstStreamFrame(1, 0xFF)),
    "6.5.2 an unknown setting": says(SETTING(0, settings={0xFFFF: 1})),
    "6.5.2 the largest values": says(
        SETTING(0, settings={SETTING.INITIAL_WINDOW_SIZE: 2**31 - 1, SETTING.MAX_FRAME_SIZE: 2**24 - 1})
    ),
    "6.5.3 settings again": says(SettingsFrame(0)),
    "6.7 a PING nobody asked for": says(PingFrame(0, b"12345678", flags=["ACK"])),
    "6.8 GOAWAY of a client that stays": says(GoAwayFrame(0, 0, 0xFF, b"bye")),
    "6.10 a head in three frames": lambda w: w.say(
        HeadersFrame(1, b"\x82\x86", flags=["END_STREAM"]),
        ContinuationFrame(1),
        ContinuationFrame(1, w.encoder.encode(HELD[2:]), flags=["END_HEADERS"]),
    ),
    "8.1 trailers": lambda w: (opened(w), w.say(w.head(1, fields=[("x-sum", "1")]))),
    "8.1.1 a body as announced": lambda w: w.say(
        w.post(1, "/held", ("content-length", "3")), DataFrame(1, b"ab"), DataFrame(1, b"c", flags=["END_STREAM"])
    ),
    "8.2.2 te": heads(("te", "trailers")),
    "8.2.3 cookies": heads(("cookie", "a=1"), ("cookie", "b=2")),
    "8.3.1 host for :authority": heads(fields=[*HELD[:3], ("host", "h.test")]),
    "HPACK 4.2 two changes of the table's size": lambda w: w.say(w.block(1, b"\x20\x3f\xe1\x1f" + Encoder().encode(HELD))),
    "HPACK 6.2.2 a field without index": lambda w: w.say(w.block(1, b"\x82\x86\x04\x05/held\x41\x06h.test\x00\x01x\x01y")),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_allowed(name: str, wire: Wire, logged: Logged) -> None:
    wire.begin()
    LEGAL[name](wire)
    assert [frame for frame in wire.acknowledged() if isinstance(frame, (RstStreamFrame, GoAwayFrame))] == []
    wire.encoder = Encoder()  # some have used their own
    wire.ask(101)
    found = logged.of(wire.port, lambda found: any(one.get("matchedRuleId") == "hello" for one in found))
    assert kinds(found, "client-error") == []


def test_pings_and_settings_are_answered(wire: Wire) -> None:
    wire.begin()
    wire.until(SettingsFrame)
    wire.say(
        PingFrame(0, b"12345678"), PingFrame(0, b"not this", flags=["ACK"]), SettingsFrame(0), PingFrame(0, b"the last")
    )
    first, second, third = (wire.read() for _ in range(3))
    assert isinstance(first, PingFrame) and (first.opaque_data, first.flags) == (b"12345678", {"ACK"})
    assert isinstance(second, SettingsFrame) and "ACK" in second.flags
    assert isinstance(third, PingFrame) and third.opaque_data == b"the last"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (raw(2, 0, 1, bytes(4)), "FRAME_SIZE_ERROR"),
        (PriorityFrame(1, depends_on=1), "PROTOCOL_ERROR"),
    ],
)
def test_priorities_are_out_of_use_but_have_their_form(
    wire: Wire, logged: Logged, said: Frame | bytes, code: str
) -> None:
    """RFC 9113 (6.3) wants an error of the stream; the end of the connection is allowed (5.4.2)."""
    wire.begin()
    check(Case("6.3", code, says(said)), wire, logged)


# ── the end of the program ─────────────────────────────────────────────────────────────────────────


STOPPED = """\
version: 1
rules:
  - {id: held, when: {path: /held}, then: [{delay: 700ms}, {reply: {body: late}}]}
  - {id: never, when: {path: /never}, then: timeout}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_end_within_the_grace_and_new_ones_are_refused(recorder: Start, number: int) -> None:
    run = recorder(STOPPED, "--grace", "15s")
    with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
        wire = Wire(sock)
        wire.begin()
        wire.say(wire.head(1), wire.post(3))
        wire.acknowledged()
        run.process.send_signal(number)
        goaway = wire.until(GoAwayFrame)
        assert (goaway.error_code, goaway.last_stream_id) == (CODES["NO_ERROR"], 3)
        wire.say(wire.head(5), DataFrame(3, b"more", flags=["END_STREAM"]))
        frames = wire.rest()
    assert [(frame.stream_id, frame.error_code) for frame in frames if isinstance(frame, RstStreamFrame)] == [
        (5, CODES["REFUSED_STREAM"])
    ]
    bodies = [(frame.stream_id, frame.data) for frame in frames if isinstance(frame, DataFrame)]
    assert sorted(bodies) == [(1, b"late"), (3, b"late")]  # they are due at the same time
    session = run.wait()
    assert len(session.by_type("response")) == 2 and session.by_type("abort") == session.by_type("client-error") == []
    assert session.by_type("request")[1]["body"]["text"] == "more"


def test_what_outlasts_the_grace_is_aborted(recorder: Start) -> None:
    run = recorder(STOPPED, "--grace", "100ms")
    with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
        wire = Wire(sock)
        wire.begin()
        wire.say(wire.head(1, "/never"))
        wire.acknowledged()
        session = run.stop(signal.SIGTERM)
        assert isinstance(wire.rest()[-1], GoAwayFrame)
    assert session.one("abort")["matchedRuleId"] == "never"


@pytest.mark.parametrize("inside", [b"", PREFACE + SettingsFrame(0).serialize()])
def test_an_idle_tunnel_does_not_hold_the_end_up(recorder: Start, inside: bytes) -> None:
    run = recorder(STOPPED, "--grace", "1h")
    with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
        wire = Wire(sock)
        wire.begin()
        wire.say(wire.head(1, fields=[(":method", "CONNECT"), (":authority", "a.test:80")], end=False))
        wire.until(HeadersFrame, 1)
        if inside:
            wire.say(DataFrame(1, inside))
            wire.until(DataFrame, 1)
        assert run.stop(signal.SIGTERM).code == 0
        assert [
            frame.stream_id for frame in wire.rest() if isinstance(frame, DataFrame) and "END_STREAM" in frame.flags
        ] == [1]
