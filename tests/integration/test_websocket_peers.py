"""WebSocket with what people use: the `websockets` package (synchronous, and as a server behind), wsproto, and Node."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve
from wsproto import ConnectionType, WSConnection
from wsproto import events as theirs
from wsproto.extensions import PerMessageDeflate

Make = Callable[..., Any]

SECONDS = 20.0
RULES = """\
version: 1
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: no, when: {path: /no}, then: {reject: {status: 401, body: "not you"}}}
  - {id: closing, when: {path: /closing}, then: {script: [{expect: from ws}, {send: {base64: AAE=}}, {close: {code: 4001, reason: done}}]}}
"""
BEHIND = pytest.mark.parametrize("behind", [False, True])
HERE = Path(__file__).parent


def recorders(recorder: Make, behind: bool, *options: Any) -> list[Any]:
    """The recorder that clients speak to, and last the one with the rules."""
    run = recorder(RULES, *(() if behind else options))
    return (
        [recorder("version: 1\nrules: []\n", "--upstream", run.url, *options, out="f.jsonl"), run] if behind else [run]
    )


def conversation(session: Any) -> list[tuple[str, Any]]:
    """What the log has of the only WebSocket's messages."""
    return [
        (record["direction"], record["content"].get("text", record["content"].get("base64")))
        for record in session.records
        if record["type"].startswith("websocket-message-")
    ]


def closes(session: Any) -> list[tuple[int, str, str]]:
    return [(one["closeCode"], one["closeReason"], one["initiator"]) for one in session.by_type("websocket-close")]


# ── the websockets package ─────────────────────────────────────────────────────────────────────────


@BEHIND
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_synchronous(recorder: Make, compression: str | None, behind: bool) -> None:
    runs = recorders(recorder, behind)
    url = runs[0].url.replace("http", "ws")
    with connect(url + "/echo", compression=compression, proxy=None) as socket:
        for message in ("ä", b"\x00\xff", ["in ", "pieces"]):
            socket.send(message)
            assert socket.recv(SECONDS) == ("in pieces" if isinstance(message, list) else message)
        assert socket.ping("x").wait(SECONDS)
        socket.close(4000, "enough")
    assert (socket.close_code, socket.close_reason) == (4000, "enough")
    for run in runs:
        session = run.stop()
        assert conversation(session) == [
            (direction, text) for text in ("ä", "AP8=", "in pieces") for direction in ("received", "sent")
        ]
        assert closes(session) == [(4000, "enough", "client")]


@BEHIND
def test_over_tls(recorder: Make, pki: Any, behind: bool) -> None:
    runs = recorders(recorder, behind, *pki.options)
    url = f"wss://localhost:{runs[0].port}/echo"
    with connect(url, ssl=pki.trusting, proxy=None) as socket:
        socket.send("x" * 100_000)
        assert socket.recv(SECONDS) == "x" * 100_000
    session = runs[0].stop()
    assert session.one("websocket-request")["url"] == url
    assert closes(session) == [(1000, "", "client")]


@pytest.fixture
def server() -> Iterator[Callable[..., str]]:
    """`server(act, …)`: a server of the websockets package; its URL."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(act: Callable[[ServerConnection], None], **options: Any) -> str:
        made = serve(act, "127.0.0.1", 0, **options)
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        running.append((made, thread))
        scheme = "https" if "ssl" in options else "http"
        return f"{scheme}://localhost:{made.socket.getsockname()[1]}"

    yield start
    for made, thread in running:
        made.shutdown()
        thread.join(SECONDS)


def test_what_the_server_agrees_to_is_what_the_client_gets(recorder: Make, server: Make) -> None:
    def act(socket: ServerConnection) -> None:
        for message in socket:
            socket.send(message)

    behind = server(act, subprotocols=["two"], compression=None)
    run = recorder("version: 1\nrules: []\n", "--upstream", behind)
    with connect(run.url.replace("http", "ws"), subprotocols=["one", "two"], proxy=None) as socket:
        assert socket.subprotocol == "two"
        assert socket.protocol.extensions == []
        socket.send("hello")
        assert socket.recv(SECONDS) == "hello"
    session = run.stop()
    headers = session.one("websocket-accepted")["headers"]
    assert headers["sec-websocket-protocol"] == "two"
    assert "sec-websocket-extensions" not in headers
    assert dict(session.told())["passthrough-websocket-connect"]["subprotocols"] == ["one", "two"]


def test_a_server_over_tls_that_begins_and_ends(recorder: Make, server: Make, pki: Any) -> None:
    pongs: list[bool] = []

    def act(socket: ServerConnection) -> None:
        socket.send("welcome")
        pongs.append(socket.ping("are you there?").wait(SECONDS))
        socket.close(4002, "go")

    behind = server(act, ssl=pki.server())
    rules = f"version: 1\nupstream: {{trustedCAs: [{pki.ca}]}}\nrules: [{{id: on, then: {{forward: {{to: '{behind}'}}}}}}]\n"
    run = recorder(rules)
    with connect(run.url.replace("http", "ws"), proxy=None) as socket:
        assert socket.recv(SECONDS) == "welcome"
        with pytest.raises(ConnectionClosed):
            socket.recv(SECONDS)
    assert (socket.close_code, socket.close_reason) == (4002, "go")
    assert pongs == [True]
    session = run.stop()
    assert conversation(session) == [("sent", "welcome")]
    assert closes(session) == [(4002, "go", "server")]
    assert dict(session.told())["passthrough-websocket-connect"]["protocol"] == "wss"


# ── wsproto ────────────────────────────────────────────────────────────────────────────────────────


class Wsproto:
    """wsproto's own client on a socket."""

    def __init__(self, port: int, path: str, *extensions: Any) -> None:
        self.connection = WSConnection(ConnectionType.CLIENT)
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._events: list[theirs.Event] = []
        self.send(theirs.Request(host="a.test", target=path, subprotocols=["a", "b"], extensions=list(extensions)))

    def send(self, event: theirs.Event) -> None:
        self._socket.sendall(self.connection.send(event))

    def receive(self) -> theirs.Event:
        while not self._events:
            data = self._socket.recv(65536)
            self.connection.receive_data(data or None)
            self._events += self.connection.events()
        return self._events.pop(0)

    def message(self) -> str | bytes:
        """The next message, whole."""
        pieces = []
        while True:
            event = self.receive()
            assert isinstance(event, theirs.TextMessage | theirs.BytesMessage)
            pieces.append(event.data)
            if event.message_finished:
                return type(event.data)().join(pieces)

    def leave(self) -> None:
        self._socket.close()


@BEHIND
@pytest.mark.parametrize("compressed", [False, True])
def test_wsproto(recorder: Make, compressed: bool, behind: bool) -> None:
    runs = recorders(recorder, behind)
    extension = PerMessageDeflate()
    end = Wsproto(runs[0].port, "/echo", *([extension] if compressed else []))
    accepted = end.receive()
    assert isinstance(accepted, theirs.AcceptConnection)
    assert (accepted.subprotocol, extension.enabled()) == ("a", compressed)
    for part in (theirs.TextMessage("in ", message_finished=False), theirs.TextMessage("two")):
        end.send(part)
    assert end.message() == "in two"
    end.send(theirs.BytesMessage(bytes(100_000)))
    assert end.message() == bytes(100_000)
    end.send(theirs.Ping(b"p"))
    assert end.receive() == theirs.Pong(b"p")
    end.send(theirs.CloseConnection(4003, "so long"))
    assert end.receive() == theirs.CloseConnection(4003, "so long")
    end.leave()
    for run in runs:
        session = run.stop()
        assert [one["content"]["size"] for one in session.by_type("websocket-message-received")] == [6, 100_000]
        assert closes(session) == [(4003, "so long", "client")]


@BEHIND
def test_wsproto_is_refused(recorder: Make, behind: bool) -> None:
    runs = recorders(recorder, behind)
    end = Wsproto(runs[0].port, "/no")
    rejected = end.receive()
    assert isinstance(rejected, theirs.RejectConnection)
    assert rejected.status_code == 401
    body = end.receive()
    assert isinstance(body, theirs.RejectData)
    assert body.data == b"not you"
    end.leave()
    for run in runs:
        session = run.stop()
        assert session.one("response")["statusCode"] == 401
        assert session.one("response")["body"]["text"] == "not you"


# ── Node ───────────────────────────────────────────────────────────────────────────────────────────

NODE = """\
const socket = new WebSocket(process.argv[2], ['a', 'b']);
socket.binaryType = 'arraybuffer';
socket.onopen = () => socket.send('from Node');
socket.onmessage = (message) => { console.log(socket.protocol, message.data); socket.close(4000, 'enough'); };
socket.onclose = (event) => console.log(event.code, event.reason, event.wasClean);
"""
NODE_WS = """\
const WebSocket = require('ws');
const socket = new WebSocket(process.argv[2], ['a', 'b'], {perMessageDeflate: process.argv[3] === 'deflate'});
socket.on('unexpected-response', (_, response) => {
  console.log('refused', response.statusCode);
  response.on('data', (data) => console.log(`${data}`));
  response.on('end', () => process.exit());
});
socket.on('open', () => { console.log(socket.protocol, socket.extensions); socket.ping('p'); socket.send('from ws'); });
socket.on('pong', (data) => console.log('pong', `${data}`));
socket.on('message', (data, isBinary) => { console.log(isBinary, isBinary ? data : `${data}`); if (!isBinary) socket.close(4000, 'enough'); });
socket.on('close', (code, reason) => console.log(code, `${reason}`));
socket.on('error', (error) => console.log(error.message));
"""


def node(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    return subprocess.run(
        [program, *argv], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **env}
    )


@BEHIND
def test_node(recorder: Make, tmp_path: Path, behind: bool) -> None:
    flag = "--experimental-websocket"  # what Node 20 and 21 want to hear, and later ones allow
    if node(flag, "-p", "typeof WebSocket").stdout != "function\n":
        pytest.skip("no Node with WebSocket (20 or newer)")
    runs = recorders(recorder, behind)
    (tmp_path / "ask.mjs").write_text(NODE)
    done = node(flag, str(tmp_path / "ask.mjs"), runs[0].url.replace("http", "ws") + "/echo")
    assert done.stdout == "a from Node\n4000 enough true\n"
    for run in runs:
        session = run.stop()
        assert conversation(session) == [("received", "from Node"), ("sent", "from Node")]
        assert closes(session) == [(4000, "enough", "client")]


@pytest.fixture(scope="module")
def ws() -> dict[str, str]:
    """The environment in which Node finds the package `ws`."""
    benchmarks = HERE.parent / "benchmarks" / ".peers" / "mockttp" / "node_modules"
    named = [os.environ.get("NODE_PATH"), os.environ.get("MOCKREC_NODE_PATH"), str(benchmarks)]
    path = os.pathsep.join(filter(None, named))
    if node("-e", "require('ws')", NODE_PATH=path).returncode:
        pytest.skip("Node's package ws is not there: .ci/tools installs it (MOCKREC_NODE_PATH)")
    return {"NODE_PATH": path}


@BEHIND
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_ws(recorder: Make, ws: dict[str, str], tmp_path: Path, compression: str, behind: bool) -> None:
    runs = recorders(recorder, behind)
    (tmp_path / "ask.js").write_text(NODE_WS)
    url = runs[0].url.replace("http", "ws")
    done = node(str(tmp_path / "ask.js"), url + "/echo", compression, **ws)
    extensions = "permessage-deflate" if compression == "deflate" else ""
    assert done.stdout == f"a {extensions}\npong p\nfalse from ws\n4000 enough\n"
    done = node(str(tmp_path / "ask.js"), url + "/closing", compression, **ws)
    assert done.stdout == f"a {extensions}\npong p\ntrue <Buffer 00 01>\n4001 done\n"
    done = node(str(tmp_path / "ask.js"), url + "/no", compression, **ws)
    assert done.stdout == "refused 401\nnot you\n"
    for run in runs:
        session = run.stop()
        assert closes(session) == [(4000, "enough", "client"), (4001, "done", "server")]
