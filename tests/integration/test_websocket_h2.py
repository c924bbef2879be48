"""WebSocket in streams of HTTP/2 (RFC 8441): a client of the packages h2 and wsproto."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame
from waiting import until_recorded
from wsproto import ConnectionType
from wsproto import events as theirs
from wsproto.connection import Connection
from wsproto.extensions import PerMessageDeflate

Make = Callable[..., Any]

SECONDS = 20.0
RULES = """\
version: 1
server: {limits: {wsMessage: 1MiB}}
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: no, when: {path: /no}, then: {reject: {body: "not you"}}}
  - {id: hello, when: {path: /hello}, then: {reply: {body: hello}}}
"""
BEHIND = pytest.mark.parametrize("behind", [False, True])


class Client:
    """One connection, and what has come on each of its streams."""

    def __init__(self, port: int) -> None:
        self._authority = f"127.0.0.1:{port}"
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._numbers = count(1, 2)
        self.heads: dict[int, dict[str, str]] = {}
        self.data: dict[int, bytes] = defaultdict(bytes)
        self.over: dict[int, Any] = {}
        self.leaving = False
        """Whether the server has said GOAWAY."""
        self.connection.initiate_connection()
        self.flush()
        while not self.connection.remote_settings.enable_connect_protocol:
            self.more()

    def flush(self) -> None:
        self.send(self.connection.data_to_send())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def more(self) -> None:
        """Read what there is."""
        data = self._socket.recv(65536)
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                assert event.stream_id is not None
                self.heads[event.stream_id] = dict(event.headers or ())  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                assert event.stream_id is not None
                self.data[event.stream_id] += event.data or b""
                self.connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                self.over.setdefault(event.stream_id, "ended")
            elif isinstance(event, h2.events.StreamReset):
                assert event.stream_id is not None
                self.over[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.leaving = True
        self.flush()

    def request(self, method: str, path: str, *more: tuple[str, str], end: bool) -> int:
        number = next(self._numbers)
        protocol = [(":protocol", "websocket")] if method == "CONNECT" else []
        head = [(":method", method), *protocol, (":scheme", "http"), (":path", path), (":authority", self._authority)]
        self.connection.send_headers(number, [*head, *more], end_stream=end)
        self.flush()
        while number not in self.heads:
            self.more()
        return number

    def leave(self) -> None:
        self._socket.close()


class End:
    """A WebSocket in a stream."""

    def __init__(self, client: Client, path: str = "/echo", *, compressed: bool = False) -> None:
        self.client = client
        extension = PerMessageDeflate()
        fields = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "a, b")]
        if compressed:
            fields.append(("sec-websocket-extensions", f"permessage-deflate; {extension.offer()}"))
        self.number = client.request("CONNECT", path, *fields, end=False)
        self.head = client.heads[self.number]
        if compressed:
            extension.finalize(self.head["sec-websocket-extensions"])
        self._frames = Connection(ConnectionType.CLIENT, [extension] if compressed else [])
        self._heard: list[theirs.Event] = []

    def send(self, event: theirs.Event) -> None:
        self.send_raw(self._frames.send(event))

    def send_raw(self, data: bytes) -> None:
        """As the windows allow."""
        connection = self.client.connection
        if self.client.leaving:  # h2 takes a GOAWAY for the end of all streams
            self.client.send(DataFrame(self.number, data).serialize())
            return
        while data:
            room = min(connection.local_flow_control_window(self.number), connection.max_outbound_frame_size)
            if room:
                connection.send_data(self.number, data[:room])
                data = data[room:]
                self.client.flush()
            else:
                self.client.more()

    def receive(self) -> theirs.Event:
        while not self._heard:
            data = self.client.data.pop(self.number, b"")
            if data:
                self._frames.receive_data(data)
                self._heard += self._frames.events()
            else:
                assert self.number not in self.client.over
                self.client.more()
        return self._heard.pop(0)

    def message(self) -> str | bytes:
        """The next message, whole."""
        pieces = []
        while True:
            event = self.receive()
            assert isinstance(event, theirs.TextMessage | theirs.BytesMessage)
            pieces.append(event.data)
            if event.message_finished:
                return type(event.data)().join(pieces)

    def end(self) -> Any:
        """How the stream ends."""
        while self.number not in self.client.over:
            self.client.more()
        return self.client.over[self.number]


@pytest.fixture
def connected() -> Iterator[Callable[[int], Client]]:
    made: list[Client] = []

    def connect(port: int) -> Client:
        made.append(Client(port))
        return made[-1]

    yield connect
    for client in made:
        client.leave()


def recorders(recorder: Make, behind: bool, *options: str) -> list[Any]:
    """The recorder that clients speak to, and last the one with the rules."""
    run = recorder(RULES, *options)
    front = "version: 1\nserver: {limits: {wsMessage: 1MiB}}\nrules: []\n"
    return [recorder(front, "--upstream", run.url, *options, out="front.jsonl"), run] if behind else [run]


@BEHIND
@pytest.mark.parametrize("compressed", [False, True])
def test_echo(recorder: Make, connected: Make, compressed: bool, behind: bool) -> None:
    runs = recorders(recorder, behind)
    client = connected(runs[0].port)
    one, other = End(client, compressed=compressed), End(client, compressed=compressed)
    assert (one.head[":status"], one.head["sec-websocket-protocol"]) == ("200", "a")
    for end in (one, other):
        end.send(theirs.TextMessage("hello"))
    assert (one.message(), other.message()) == ("hello", "hello")
    one.send(theirs.BytesMessage(bytes(500_000)))
    other.send(theirs.Ping(b"p"))
    assert one.message() == bytes(500_000)
    assert other.receive() == theirs.Pong(b"p")
    answered = client.request("GET", "/hello", end=True)
    assert client.heads[answered][":status"] == "200"
    for code, end in ((4000, one), (4001, other)):
        end.send(theirs.CloseConnection(code, "enough"))
        assert end.receive() == theirs.CloseConnection(code, "enough")
        assert end.end() in ("ended", ErrorCodes.NO_ERROR)
    for run in runs:
        session = run.stop()
        assert [one["closeCode"] for one in session.by_type("websocket-close")] == [4000, 4001]
        assert len(session.by_type("websocket-message-received")) == 3
        assert not session.by_type("abort")
        if run is runs[0]:
            assert [one["statusCode"] for one in session.by_type("websocket-accepted")] == [200, 200]
            assert {one["httpVersion"] for one in session.by_type("websocket-request")} == {"2.0"}


@BEHIND
def test_a_refusal(recorder: Make, connected: Make, behind: bool) -> None:
    runs = recorders(recorder, behind)
    client = connected(runs[0].port)
    end = End(client, "/no")
    assert end.head[":status"] == "403"
    end.end()
    assert client.data[end.number] == b"not you"
    for run in runs:
        assert run.stop().one("response")["statusCode"] == 403


@BEHIND
@pytest.mark.parametrize("how", ["stream", "connection"])
def test_a_client_that_goes_without_a_word(recorder: Make, connected: Make, how: str, behind: bool) -> None:
    runs = recorders(recorder, behind)
    client = connected(runs[0].port)
    end = End(client)
    end.send(theirs.TextMessage("hi"))
    assert end.message() == "hi"
    if how == "stream":
        client.connection.reset_stream(end.number, ErrorCodes.CANCEL)
        client.flush()
        assert client.heads[client.request("GET", "/hello", end=True)][":status"] == "200"
    else:
        client.leave()
    until_recorded(runs[0], "abort")  # the end of the recording would be another reason
    if behind:
        until_recorded(runs[1], "websocket-close")
    sessions = [run.stop() for run in runs]
    assert "error" not in sessions[0].one("abort")
    if behind:
        assert sessions[1].one("websocket-close")["closeCode"] == 1011


@BEHIND
def test_a_violation_ends_its_stream_only(recorder: Make, connected: Make, behind: bool) -> None:
    runs = recorders(recorder, behind)
    client = connected(runs[0].port)
    good, bad = End(client), End(client)
    bad.send_raw(b"\xf1\x80" + bytes(4))
    close = bad.receive()
    assert isinstance(close, theirs.CloseConnection)
    assert close.code == 1002
    bad.end()
    good.send(theirs.TextMessage("still here"))
    assert good.message() == "still here"
    good.send(theirs.CloseConnection(1000))
    assert isinstance(good.receive(), theirs.CloseConnection)
    good.end()
    session = runs[0].stop()
    assert session.one("abort")["error"]["code"] == "WS_ERR_1002"
    assert session.one("client-error")["errorCode"] == "WS_ERR_1002"
    assert session.one("websocket-close")["closeCode"] == 1000


@BEHIND
def test_a_stop_closes_with_1001(recorder: Make, connected: Make, behind: bool) -> None:
    runs = recorders(recorder, behind, "--grace", "60s")
    client = connected(runs[0].port)
    ends = [End(client), End(client)]
    runs[0].process.terminate()
    for end in ends:
        close = end.receive()
        assert close == theirs.CloseConnection(1001, "mockrec is stopping")
        assert isinstance(close, theirs.CloseConnection)
        end.send(close.response())
    sessions = [runs[0].wait(), *(run.stop() for run in runs[1:])]
    for session in sessions:
        assert [one["closeCode"] for one in session.by_type("websocket-close")] == [1001] * 2
        assert not session.by_type("abort")
