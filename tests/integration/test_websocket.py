"""WebSocket: the `websockets` package, Node and a browser against echo, listen, reject, script and servers behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
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


def memory(pid: int, name: str) -> int:
    """MB, of the process's own account."""
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0]) // 1024


@pytest.mark.parametrize("behind", [False, True])
def test_long_messages_pass_in_constant_memory(recorder: Start, behind: bool) -> None:
    run = recorder("version: 1\nrules:\n  - {when: {websocket: true}, then: echo}\n", "--max-body-size", "64KiB")
    front = recorder(None, "--upstream", run.url, "--max-body-size", "64KiB", out="front.jsonl") if behind else run
    runs = list(dict.fromkeys((front, run)))
    piece = os.urandom(1 << 20)

    async def act(count: int) -> None:
        async with websockets.connect(
            front.url.replace("http", "ws") + "/echo", max_size=None, compression=None, proxy=None
        ) as socket:

            async def send() -> None:
                await socket.send(piece for _ in range(count))

            sender = asyncio.create_task(send())
            size = 0
            async for part in socket.recv_streaming():
                size += len(part)
            await sender
            assert size == count << 20

    talk(lambda: act(1))
    before = [memory(one.pid, "VmRSS") for one in runs]
    talk(lambda: act(100))
    for one, first in zip(runs, before, strict=True):
        assert memory(one.pid, "VmHWM") - first < 40
        content = one.stop().by_type("websocket-message-sent")[-1]["content"]
        assert (content["size"], content["truncated"], len(content["base64"])) == (100 << 20, True, 87384)


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
