"""How WebSockets end: close frames of either side, violations, sides that are lost, and a recorder that stops."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha1
from typing import Any

import pytest
import websockets
from waiting import until_recorded

Make = Callable[..., Any]

SECONDS = 20.0
RULES = """\
version: 1
server: {limits: {wsMessage: 1MiB}}
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: listen, when: {path: /listen}, then: listen}
  - {id: script, when: {path: /script}, then: {script: [{expect: go}, {send: done}]}}
  - {id: closing, when: {path: /closing}, then: {script: [{close: {code: 4001, reason: done}}]}}
"""
RELAY = "version: 1\nserver: {limits: {wsMessage: 1MiB}}\nrules: []\n"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
BEHIND = pytest.mark.parametrize("behind", [False, True])


class Frames:
    """An end of an accepted WebSocket, frame by frame; `pipe` has `send` and `exactly`."""

    def __init__(self, pipe: Any, *, masks: bool) -> None:
        self.pipe = pipe
        self._masks = masks

    def send(self, opcode: int, payload: bytes = b"", *, first: int | None = None) -> None:
        """A whole message or control frame; `first` is another first byte."""
        size = len(payload)
        head = bytes([0x80 | opcode if first is None else first])
        mask, key = (0x80, bytes(4)) if self._masks else (0, b"")
        length = bytes([mask | size]) if size < 126 else bytes([mask | 127]) + struct.pack("!Q", size)
        self.pipe.send(head + length + key + payload)

    def send_close(self, code: int, reason: str = "") -> None:
        self.send(CLOSE, struct.pack("!H", code) + reason.encode())

    def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame, which is a short one and the last of its message."""
        first, length = self.pipe.exactly(2)
        assert first & 0x80
        key = self.pipe.exactly(4) if length & 0x80 else bytes(4)
        payload = self.pipe.exactly(length & 0x7F)
        return first & 0xF, bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))

    def receive_close(self) -> tuple[int, str]:
        opcode, payload = self.receive()
        assert opcode == CLOSE
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


@pytest.fixture
def opened(client: Make) -> Callable[..., Frames]:
    """`opened(port, path)`: an upgraded connection."""

    def connect(port: int, path: str = "/echo") -> Frames:
        connected = client(port)
        connected.send(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = connected.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        return Frames(connected, masks=True)

    return connect


def accepting(act: Callable[[Frames], None], *fields: str) -> Callable[[Any], None]:
    """What a server does that accepts every upgrade."""

    def serve(connection: Any) -> None:
        received = connection.request()
        key = received.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Accept: {b64encode(sha1(key.encode()).digest()).decode()}",
            *fields,
        ]
        connection.send("\r\n".join([*lines, "", ""]).encode())
        act(Frames(connection, masks=False))

    return serve


def reset(sock: socket.socket) -> None:
    """RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def types_of(session: Any) -> list[str]:
    """The types of all records but the session's own; rule-events by what they say."""
    return [record.get("eventType", record["type"]) for record in session.records[1:-1]]


def recorders(recorder: Make, behind: bool) -> list[Any]:
    """The recorder that clients speak to, and last the one with the rules."""
    run = recorder(RULES)
    return [recorder(RELAY, "--upstream", run.url, out="front.jsonl"), run] if behind else [run]


# ── the client's doing ─────────────────────────────────────────────────────────────────────────────

VIOLATIONS = {
    "unmasked": (b"\x81\x02hi", 1002),
    "reserved bit": (b"\xc1\x82" + bytes(4) + b"hi", 1002),
    "unknown opcode": (b"\x83\x82" + bytes(4) + b"hi", 1002),
    "continuation of nothing": (b"\x80\x82" + bytes(4) + b"hi", 1002),
    "close code": (b"\x88\x82" + bytes(4) + struct.pack("!H", 999), 1002),
    "too long": (b"\x82\xff" + struct.pack("!Q", (1 << 20) + 1) + bytes(4), 1009),
}


@BEHIND
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_no_close(recorder: Make, opened: Callable[..., Frames], name: str, behind: bool) -> None:
    data, code = VIOLATIONS[name]
    runs = recorders(recorder, behind)
    end = opened(runs[0].port)
    end.pipe.send(data)
    assert end.receive_close()[0] == code
    assert end.pipe.rest() == b""
    if behind:
        until_recorded(runs[1], "websocket-close")
    sessions = [run.stop() for run in runs]
    record = sessions[0].one("abort")
    assert (record["error"]["name"], record["error"]["code"]) == ("WebSocketError", f"WS_ERR_{code}")
    fault = sessions[0].one("client-error")
    assert (fault["exchangeId"], fault["errorCode"]) == (record["id"], f"WS_ERR_{code}")
    assert types_of(sessions[0])[-2:] == ["client-error", "abort"]
    if behind:  # the server is told that something has happened
        close = sessions[1].one("websocket-close")
        assert (close["closeCode"], close["initiator"]) == (1011, "client")


@BEHIND
def test_what_is_no_text(recorder: Make, opened: Callable[..., Frames], behind: bool) -> None:
    """A relay leaves the judgement to the server."""
    runs = recorders(recorder, behind)
    end = opened(runs[0].port)
    end.send(TEXT, b"\xff")
    assert end.receive_close()[0] == 1007
    end.send_close(1007)
    assert end.pipe.rest() == b""
    sessions = [run.stop() for run in runs]
    assert sessions[-1].one("abort")["error"]["code"] == "WS_ERR_1007"
    if behind:
        message = sessions[0].one("websocket-message-received")
        assert (message["content"], message["isBinary"]) == ({"size": 1, "base64": "/w=="}, False)
        close = sessions[0].one("websocket-close")
        assert (close["closeCode"], close["initiator"]) == (1007, "server")


@BEHIND
def test_a_message_as_long_as_may_be(recorder: Make, opened: Callable[..., Frames], behind: bool) -> None:
    runs = recorders(recorder, behind)
    end = opened(runs[0].port, "/listen")
    end.send(BINARY, bytes(1 << 20))
    end.send(BINARY, bytes(1 << 19), first=BINARY)
    end.send(CONTINUATION, bytes(1 << 19))
    end.send(BINARY, bytes(1 << 19), first=BINARY)
    end.send(CONTINUATION, bytes((1 << 19) + 1))
    assert end.receive_close()[0] == 1009
    sessions = [run.stop() for run in runs]
    for session in sessions:
        assert [one["content"]["size"] for one in session.by_type("websocket-message-received")] == [1 << 20] * 2


@BEHIND
@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_client_that_goes_without_a_word(
    recorder: Make, opened: Callable[..., Frames], how: str, behind: bool
) -> None:
    runs = recorders(recorder, behind)
    end = opened(runs[0].port)
    end.send(TEXT, b"hi")
    assert end.receive() == (TEXT, b"hi")
    end.send(TEXT, b"half of a mess", first=TEXT)
    if how == "RST":
        reset(end.pipe.sock)
    else:
        end.pipe.leave()
    until_recorded(runs[0], "abort")  # the end of the recording would be another reason
    if behind:
        until_recorded(runs[1], "websocket-close")
    sessions = [run.stop() for run in runs]
    record = sessions[0].one("abort")
    assert "error" not in record
    assert {"wsAcceptedTimestamp", "abortedTimestamp"} <= record["timingEvents"].keys()
    assert not sessions[0].by_type("client-error")
    assert sessions[0].one("websocket-message-received")["content"]["text"] == "hi"
    if behind:
        assert "passthrough-abort" not in types_of(sessions[0])
        close = sessions[1].one("websocket-close")
        assert (close["closeCode"], close["initiator"]) == (1011, "client")


def test_a_close_without_a_code_and_frames_in_the_same_packet(recorder: Make, opened: Callable[..., Frames]) -> None:
    run = recorder(RULES)
    end = opened(run.port, "/listen")
    zero = bytes(4)
    end.pipe.send(
        b"\x01\x81" + zero + b"a" + b"\x89\x81" + zero + b"p" + b"\x80\x81" + zero + b"b" + b"\x88\x80" + zero
    )
    assert end.pipe.rest() == b"\x8a\x01p\x88\x00"
    session = run.stop()
    assert session.one("websocket-message-received")["content"] == {"size": 2, "text": "ab"}
    close = session.one("websocket-close")
    assert "closeCode" not in close
    assert close["closeReason"] == ""


def test_nothing_counts_behind_a_close(recorder: Make, opened: Callable[..., Frames]) -> None:
    run = recorder(RULES)
    end = opened(run.port, "/listen")
    end.pipe.send(b"\x88\x82" + bytes(4) + struct.pack("!H", 1000) + b"\x81\x82" + bytes(4) + b"hi" + b"\xff" * 20)
    assert end.receive_close() == (1000, "")
    session = run.stop()
    assert types_of(session) == ["websocket-request", "websocket-accepted", "websocket-close"]


def test_a_client_that_does_not_answer_a_close(recorder: Make, opened: Callable[..., Frames]) -> None:
    """It is in the middle of a frame, as a client may be, so that its close frame would be a part of that."""
    run = recorder(RULES)
    front = recorder(RELAY, "--upstream", run.url, out="front.jsonl")
    ends = [opened(one.port, "/closing") for one in (run, front)]
    for end in ends:
        end.pipe.send(b"\x82\xfe\xff\xff" + bytes(4) + b"only a part")
    for end in ends:
        assert end.receive_close() == (4001, "done")
        end.send_close(4001)
    for end in ends:
        assert end.pipe.rest() == b""  # after five seconds
    codes = [one.stop().by_type("abort")[0]["error"]["code"] for one in (front, run)]
    assert codes == ["WS_CLOSE_TIMEOUT"] * 2


# ── the server's doing ─────────────────────────────────────────────────────────────────────────────


def relayed(recorder: Make, upstream: Make, act: Callable[[Frames], None], *fields: str) -> Any:
    server = upstream(serve=accepting(act, *fields))
    return recorder(RELAY, "--upstream", server.url)


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_server_that_goes_without_a_word(
    recorder: Make, upstream: Make, opened: Callable[..., Frames], how: str
) -> None:
    def act(end: Frames) -> None:
        assert end.receive() == (TEXT, b"hi")
        if how == "RST":
            end.pipe.reset()

    run = relayed(recorder, upstream, act)
    end = opened(run.port)
    end.send(TEXT, b"hi")
    assert end.receive_close() == (1014, "the server has gone")
    end.send_close(1014)
    assert end.pipe.rest() == b""
    session = run.stop()
    assert types_of(session) == [
        "websocket-request",
        "passthrough-websocket-connect",
        "websocket-accepted",
        "websocket-message-received",
        "passthrough-abort",
        "websocket-close",
    ]
    told = dict(session.told())["passthrough-abort"]
    assert (told["downstreamAborted"], told["error"]["code"]) == (False, "ECONNRESET")
    close = session.one("websocket-close")
    assert (close["closeCode"], close["initiator"]) == (1014, "server")
    assert "passthrough-error:ECONNRESET" in close["tags"]


def test_a_server_that_breaks_the_protocol(recorder: Make, upstream: Make, opened: Callable[..., Frames]) -> None:
    heard: list[tuple[int, str]] = []

    def act(end: Frames) -> None:
        end.send(TEXT, b"hi", first=0xF1)
        heard.append(end.receive_close())

    run = relayed(recorder, upstream, act)
    end = opened(run.port)
    assert end.receive_close() == (1014, "the server broke the protocol")
    end.send_close(1014)
    assert end.pipe.rest() == b""
    session = run.stop()
    assert [code for code, _ in heard] == [1002]
    assert dict(session.told())["passthrough-abort"]["error"]["code"] == "WS_ERR_1002"
    assert not session.by_type("client-error")
    assert session.one("websocket-close")["closeCode"] == 1014


def test_a_server_that_only_hangs_up_when_it_is_told_to_close(
    recorder: Make, upstream: Make, opened: Callable[..., Frames]
) -> None:
    def act(end: Frames) -> None:
        assert end.receive_close() == (4000, "enough")

    run = relayed(recorder, upstream, act)
    end = opened(run.port)
    end.send_close(4000, "enough")
    assert end.receive_close() == (4000, "enough")
    assert end.pipe.rest() == b""
    session = run.stop()
    close = session.one("websocket-close")
    assert (close["closeCode"], close["closeReason"], close["initiator"]) == (4000, "enough", "client")
    assert types_of(session)[-2:] == ["passthrough-abort", "websocket-close"]


def test_what_a_client_says_to_a_server_that_has_closed(
    recorder: Make, upstream: Make, opened: Callable[..., Frames]
) -> None:
    def act(end: Frames) -> None:
        end.send_close(1000, "bye")
        end.pipe.reset()

    run = relayed(recorder, upstream, act)
    end = opened(run.port)
    assert end.receive_close() == (1000, "bye")
    for _ in range(20):
        end.send(TEXT, b"still here")
    end.send_close(1000, "bye")
    assert end.pipe.rest() == b""
    session = run.stop()
    assert types_of(session) == [
        "websocket-request",
        "passthrough-websocket-connect",
        "websocket-accepted",
        *["websocket-message-received"] * 20,
        "websocket-close",
    ]
    assert session.one("websocket-close")["initiator"] == "server"


def test_a_server_that_cannot_be_reached(recorder: Make, client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run = recorder(RELAY, "--upstream", f"http://127.0.0.1:{port}")

    async def act() -> Any:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(run.url.replace("http", "ws"), proxy=None)
        return caught.value.response

    assert asyncio.run(act()).status_code == 502
    session = run.stop()
    assert types_of(session) == [
        "websocket-request",
        "passthrough-websocket-connect",
        "passthrough-abort",
        "response",
    ]
    assert dict(session.told())["passthrough-abort"]["error"]["code"] == "ECONNREFUSED"


@pytest.mark.parametrize("extension", ["permessage-deflate; server_max_window_bits=7", "x-unknown"])
def test_a_server_that_agrees_to_what_nobody_offered(
    recorder: Make, upstream: Make, client: Make, extension: str
) -> None:
    run = relayed(recorder, upstream, lambda end: end.pipe.hang(), f"Sec-WebSocket-Extensions: {extension}")
    connected = client(run.port)
    answer = connected.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert answer.status == 502
    session = run.stop()
    assert dict(session.told())["passthrough-abort"]["error"]["code"] == "WS_ERR_EXTENSION"
    assert not session.by_type("websocket-accepted")


# ── our doing ──────────────────────────────────────────────────────────────────────────────────────


def talk(act: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(act(), SECONDS))


@BEHIND
@pytest.mark.parametrize("path", ["/echo", "/listen"])
def test_a_stop_closes_with_1001(recorder: Make, path: str, behind: bool) -> None:
    run = recorder(RULES, "--grace", "60s")
    runs = [recorder(RELAY, "--grace", "60s", "--upstream", run.url, out="front.jsonl"), run] if behind else [run]
    url = runs[0].url.replace("http", "ws") + path
    sessions = []

    async def act() -> None:
        async with websockets.connect(url, proxy=None) as one, websockets.connect(url, proxy=None) as other:
            await (await one.ping())
            await (await other.ping())
            sessions.append(await asyncio.to_thread(runs[0].stop))  # as soon as both have closed
            for socket in (one, other):
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()
                assert (socket.close_code, socket.close_reason) == (1001, "mockrec is stopping")

    talk(act)
    sessions += [run.stop() for run in runs[1:]]
    assert [one["initiator"] for one in sessions[0].by_type("websocket-close")] == ["server"] * 2
    for session in sessions:
        assert [one["closeCode"] for one in session.by_type("websocket-close")] == [1001] * 2
        assert not session.by_type("abort")


def test_a_stop_lets_scripts_come_to_their_end(recorder: Make) -> None:
    run = recorder(RULES, "--grace", "60s")
    url = run.url.replace("http", "ws")

    async def act() -> Any:
        async with (
            websockets.connect(url + "/echo", proxy=None) as echo,
            websockets.connect(url + "/script", proxy=None) as script,
        ):
            stopping = asyncio.create_task(asyncio.to_thread(run.stop))
            with pytest.raises(websockets.ConnectionClosed):
                await echo.recv()  # the stop has begun
            await script.send("go")
            assert await script.recv() == "done"
            with pytest.raises(websockets.ConnectionClosed):
                await script.recv()
            assert script.close_code == 1001
        return await stopping

    session = talk(act)
    assert [one["matchedRuleId"] for one in session.by_type("websocket-close")] == ["echo", "script"]


def test_a_client_that_does_not_answer_the_stop(recorder: Make, opened: Callable[..., Frames]) -> None:
    run = recorder(RULES, "--grace", "0s")
    end = opened(run.port)
    session = run.stop()
    assert end.receive_close()[0] == 1001
    assert "error" not in session.one("abort")


# ── steps that are not about WebSockets ────────────────────────────────────────────────────────────

STEPS = """\
version: 1
rules:
  - {id: close, when: {path: /close}, then: close}
  - {id: reset, when: {path: /reset}, then: reset}
  - {id: timeout, when: {path: /timeout}, then: timeout}
  - {id: reject, when: {path: /reject}, then: [{delay: 50ms}, {reject: {status: 418, body: tea}}]}
  - {id: echo, when: {path: /echo}, then: [{delay: 50ms}, echo]}
"""


def ask(connected: Any, path: str) -> None:
    connected.send(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )


def test_close_and_reset(recorder: Make, client: Make) -> None:
    run = recorder(STEPS)
    closed, broken = client(run.port), client(run.port)
    ask(closed, "/close")
    assert closed.rest() == b""
    ask(broken, "/reset")
    with pytest.raises(ConnectionResetError):
        broken.rest()
    session = run.stop()
    assert types_of(session) == ["websocket-request", "abort"] * 2
    codes = [record["error"]["code"] for record in session.by_type("abort")]
    assert codes == ["E_RULE_CLOSE", "E_RULE_RESET"]
    assert all(record["protocol"] == "ws" for record in session.by_type("abort"))


def test_timeout(recorder: Make, client: Make, eventually: Make) -> None:
    run = recorder(STEPS)
    connected = client(run.port)
    ask(connected, "/timeout")
    eventually(lambda: b'"websocket-request"' in run.log.read_bytes())
    connected.leave()
    session = run.stop()
    assert types_of(session) == ["websocket-request", "abort"]
    assert "error" not in session.one("abort")


def test_delay_and_reject(recorder: Make, client: Make) -> None:
    run = recorder(STEPS)
    connected = client(run.port)
    ask(connected, "/reject")
    answer = connected.answer()
    assert (answer.status, answer.text) == (418, "tea")
    other = client(run.port)
    ask(other, "/echo")
    assert other.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    other.send(b"\x88\x80" + os.urandom(4))
    assert other.rest() == b"\x88\x00"
    session = run.stop()
    response, accepted = session.one("response"), session.one("websocket-accepted")
    assert types_of(session)[:2] == ["websocket-request", "response"]
    times = response["timingEvents"]
    assert times["headersSentTimestamp"] - times["startTimestamp"] >= 50
    times = accepted["timingEvents"]
    assert times["wsAcceptedTimestamp"] - times["startTimestamp"] >= 50
