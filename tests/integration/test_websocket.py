"""WebSocket: the `websockets` package, Node and a browser against echo, listen, reject, script and servers behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

Start = Callable[..., Any]

SECONDS = 20.0
RULES = """\
version: 1
server: {limits: {wsMessage: 1MiB}}
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: listen, when: {path: /listen}, then: listen}
  - {id: no, when: {path: /no}, then: {reject: {body: "not you", headers: {X-Why: rule}}}}
  - id: script
    when: {path: /script, websocket: true}
    then:
      script: [{send: hi}, {expect: {json: {a: 1}}}, {wait: 10ms}, {ping: p}, {send: {base64: AAE=}}, {expect: bye}, {close: {code: 4001, reason: done}}]
  - {id: reset, when: {path: /reset}, then: reset}
  - {id: plain, when: {path: /}, then: {reply: {body: "<script>const s = new WebSocket(location.origin.replace('http', 'ws') + '/echo'); s.onopen = () => s.send('from a page'); s.onmessage = (m) => { s.close(); fetch('/seen?' + m.data); }</script>", headers: {Content-Type: text/html}}}}
"""


def talk(act: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(act(), SECONDS))


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("behind", [False, True])
def test_echo(recorder: Start, compression: str | None, behind: bool) -> None:
    run = recorder(RULES)
    front = recorder("version: 1\nrules: []\n", "--upstream", run.url, out="front.jsonl") if behind else run

    async def act() -> None:
        url = front.url.replace("http", "ws") + "/echo"
        async with websockets.connect(url, subprotocols=["a", "b"], compression=compression, proxy=None) as socket:
            assert socket.subprotocol == "a"
            assert bool(socket.protocol.extensions) == (compression is not None)
            for message in ("hello", "", "ä" * 1000, b"\x00\xff", b"", os.urandom(200_000), "x" * 300_000):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "three ", "fragments"])
            assert await socket.recv() == "in three fragments"
            await (await socket.ping(b"x"))
        assert (socket.close_code, socket.close_reason) == (1000, "")

    talk(act)
    sessions = [one.stop() for one in dict.fromkeys((front, run))]
    for session in sessions:
        types = [record["type"] for record in session.records[1:-1] if record["type"] != "rule-event"]
        pairs = ["websocket-message-received", "websocket-message-sent"] * 8
        assert types == ["websocket-request", "websocket-accepted", *pairs, "websocket-close"]
        received, sent = session.by_type("websocket-message-received"), session.by_type("websocket-message-sent")
        assert [one["content"] for one in received] == [one["content"] for one in sent]
        assert received[0]["content"] == {"size": 5, "text": "hello"}
        assert received[3]["content"] == {"size": 2, "base64": "AP8="}
        assert [one["isBinary"] for one in received] == [False, False, False, True, True, True, False, False]
        accepted = session.one("websocket-accepted")
        assert (accepted["statusCode"], "wsAcceptedTimestamp" in accepted["timingEvents"]) == (101, True)
        close = session.one("websocket-close")
        assert (close["closeCode"], close["closeReason"], close["initiator"]) == (1000, "", "client")
        assert close["url"].startswith("ws://127.0.0.1:")
    if behind:
        told = dict(sessions[0].told())["passthrough-websocket-connect"]
        assert (told["protocol"], told["path"], told["subprotocols"]) == ("ws", "/echo", ["a", "b"])


@pytest.mark.parametrize("behind", [False, True])
def test_a_script(recorder: Start, behind: bool) -> None:
    run = recorder(RULES)
    front = recorder("version: 1\nrules: []\n", "--upstream", run.url, out="front.jsonl") if behind else run

    async def act(first: str) -> None:
        async with websockets.connect(front.url.replace("http", "ws") + "/script", proxy=None) as socket:
            assert await socket.recv() == "hi"
            await socket.send(first)
            assert await socket.recv() == b"\x00\x01"
            await socket.send("bye")
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4001, "done")

    talk(lambda: act('{"a": 1.0}'))
    talk(lambda: act("something else"))
    if behind:
        assert [one["initiator"] for one in front.stop().by_type("websocket-close")] == ["server"] * 2
    session = run.stop()
    assert [one["initiator"] for one in session.by_type("websocket-close")] == ["server"] * 2
    mismatch = session.one("rule-event")
    assert mismatch["eventType"] == "script-mismatch"
    assert mismatch["eventData"]["expected"] == {"json": {"a": 1}}
    assert mismatch["eventData"]["received"] == {"size": 14, "text": "something else"}


@pytest.mark.parametrize("behind", [False, True])
def test_refusals(recorder: Start, behind: bool) -> None:
    run = recorder(RULES)
    front = recorder("version: 1\nrules: []\n", "--upstream", run.url, out="front.jsonl") if behind else run

    async def act(path: str) -> Any:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(front.url.replace("http", "ws") + path, proxy=None)
        return caught.value.response

    refused = talk(lambda: act("/no"))
    assert (refused.status_code, refused.headers["X-Why"], refused.body) == (403, "rule", b"not you")
    assert talk(lambda: act("/nothing")).status_code == 503
    session = front.stop()
    assert [record["statusCode"] for record in session.by_type("response")] == [403, 503]
    assert not session.by_type("websocket-accepted")
    if behind:
        run.stop()


def test_bad_handshakes(recorder: Start) -> None:
    run = recorder(RULES)
    upgrade = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    for fields, status in (
        ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", b"400"),
        ("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"426"),
    ):
        with socket.create_connection(("127.0.0.1", run.port), SECONDS) as sock:
            sock.sendall(f"{upgrade}{fields}\r\n".encode())
            answer = sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert b"Sec-WebSocket-Version: 13\r\n" in answer
    run.stop()


def raw(port: int, path: str = "/echo") -> socket.socket:
    """An upgraded connection whose frames the test writes itself."""
    sock = socket.create_connection(("127.0.0.1", port), SECONDS)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    return sock


def frame(first: int, payload: bytes) -> bytes:
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


VIOLATIONS = {
    "unmasked": (b"\x81\x02hi", 1002),
    "reserved bit": (frame(0xC1, b"hi"), 1002),
    "unknown opcode": (frame(0x83, b"hi"), 1002),
    "continuation of nothing": (frame(0x80, b"hi"), 1002),
    "not UTF-8": (frame(0x81, b"\xff"), 1007),
    "close code": (frame(0x88, struct.pack("!H", 999)), 1002),
    "too long": (b"\x82\xff" + struct.pack("!Q", 2 << 20) + bytes(4) + bytes(2 << 20), 1009),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations(recorder: Start, name: str) -> None:
    data, code = VIOLATIONS[name]
    run = recorder(RULES)
    with raw(run.port) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass  # told before we were done
        answer = sock.recv(65536)
        assert answer[0] == 0x88
        assert struct.unpack("!H", answer[2:4])[0] == code
    session = run.stop()
    assert session.one("abort")["error"]["code"] == f"WS_ERR_{code}"
    assert session.one("client-error")["exchangeId"] == session.one("abort")["id"]
    assert not session.by_type("websocket-close")


@pytest.mark.parametrize("end", ["FIN", "RST"])
def test_a_client_that_goes_without_a_word(recorder: Start, end: str) -> None:
    run = recorder(RULES)
    with raw(run.port) as sock:
        sock.sendall(frame(0x81, b"hi"))
        assert sock.recv(65536) == b"\x81\x02hi"
        if end == "RST":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session = run.stop()
    record = session.one("abort")
    assert "error" not in record
    assert {"wsAcceptedTimestamp", "abortedTimestamp"} <= record["timingEvents"].keys()


def test_a_close_without_a_code_and_frames_in_the_same_packet(recorder: Start) -> None:
    run = recorder(RULES)
    with raw(run.port, "/listen") as sock:
        sock.sendall(frame(0x01, b"a") + frame(0x89, b"p") + frame(0x80, b"b") + frame(0x88, b""))
        received = b""
        while data := sock.recv(65536):
            received += data
    assert received == b"\x8a\x01p\x88\x00"
    session = run.stop()
    assert session.one("websocket-message-received")["content"] == {"size": 2, "text": "ab"}
    close = session.one("websocket-close")
    assert "closeCode" not in close
    assert close["closeReason"] == ""


def test_long_messages_pass_in_fragments(recorder: Start) -> None:
    run = recorder(RULES.replace("1MiB", "200MiB"), "--max-body-size", "64KiB")
    piece = os.urandom(1 << 20)

    async def act() -> None:
        async with websockets.connect(
            run.url.replace("http", "ws") + "/echo", max_size=None, compression=None, proxy=None
        ) as socket:

            async def send() -> None:
                await socket.send(piece for _ in range(64))

            sender = asyncio.create_task(send())
            size = 0
            async for part in socket.recv_streaming():
                size += len(part)
            await sender
            assert size == 64 << 20

    talk(act)
    peak = Path(f"/proc/{run.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) < 130_000
    session = run.stop()
    content = session.one("websocket-message-sent")["content"]
    assert (content["size"], content["truncated"]) == (64 << 20, True)


NODE = """\
const socket = new WebSocket(process.argv[2]);
socket.onopen = () => socket.send('from Node');
socket.onmessage = (message) => { console.log(message.data); socket.close(4000, 'enough'); };
socket.onclose = (event) => console.log(event.code, event.reason, event.wasClean);
"""


def test_node(recorder: Start, tmp_path: Path) -> None:
    node = shutil.which("node")
    if (
        node is None
        or subprocess.run([node, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False).stdout.strip()
        != "function"
    ):
        pytest.skip("no Node with WebSocket (22 or newer)")
    run = recorder(RULES)
    (tmp_path / "ask.mjs").write_text(NODE)
    done = subprocess.run(
        [node, "ask.mjs", run.url.replace("http", "ws") + "/echo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "from Node\n4000 enough true\n"
    run.stop()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("tls", [False, True])
def test_a_page(
    recorder: Start, pki: Any, tmp_path: Path, program: Any, eventually: Callable[..., None], tls: bool
) -> None:
    run = recorder(RULES, *pki.options)
    shown = program("ca", "show", "--ca-cert", pki.ca, "--as", "json").stdout
    pin = shown.partition('"spkiSha256":')[2].split('"')[1]
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync --remote-debugging-port=0"
    browser = subprocess.Popen(
        ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--no-proxy-server",
         f"--ignore-certificate-errors-spki-list={pin}", f"{'https' if tls else 'http'}://localhost:{run.port}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:  # the page tells what it heard, as a request
        eventually(lambda: b"/seen?from%20a%20page" in run.log.read_bytes(), "the page did not say what it heard")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    session = run.stop()
    assert session.one("websocket-accepted")["statusCode"] in (101, 200)  # over HTTP/2 it is a 200 (RFC 8441)
    assert session.one("websocket-message-received")["content"]["text"] == "from a page"
