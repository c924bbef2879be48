"""A recorded WebSocket served to a client that is a list of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from mockrec.engine.exchange.websocket import SocketSettings, WebSocketLost
from mockrec.engine.replay.serve import websocket as socket_serving
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.session.fingerprint import MatchOptions

pytestmark = pytest.mark.anyio

MARK = "redacted-0123abcd"
GONE = WebSocketLost()


class Client:
    """Stands for the session with a client that says these messages and then closes."""

    def __init__(self, *says: str | bytes | WebSocketLost) -> None:
        self.says = [one.encode() if isinstance(one, str) else one for one in says]
        self.heard: list[Any] = []

    async def message(self) -> tuple[bytes, bool] | None:
        if not self.says:
            return None
        said = self.says.pop(0)
        if isinstance(said, WebSocketLost):
            raise said
        return said, False

    async def send(self, data: bytes, *, is_binary: bool) -> None:
        self.heard.append((data, is_binary))

    async def close(self, code: int | None, reason: str) -> None:
        self.heard.append((code, reason))

    def leave(self) -> None:
        """See `WebSocketSession`."""


class Served:
    def __init__(
        self, stage: Any, recorded: Any, cassette: Callable[..., Cassette], rule: Any, patch: pytest.MonkeyPatch
    ) -> None:
        self._rule = rule
        self._told = 0
        stage.record("rule-event", "abort")
        self.stage = stage
        self.recorded = recorded
        self._open = cassette
        self._patch = patch
        recorded.add("websocket-request", "w", method="GET", url="ws://shop.test/ws", path="/ws")
        recorded.add("websocket-accepted", "w", headers={"sec-websocket-protocol": "chat"})

    def says(self, text: str, **fields: Any) -> None:
        """The client's message in the recording."""
        self._message("received", text, fields)

    def hears(self, text: str, **fields: Any) -> None:
        """The server's."""
        self._message("sent", text, fields)

    def _message(self, direction: str, text: str, fields: Any) -> None:
        content = {"size": len(text), "text": text, **fields.pop("content", {})}
        self.recorded.add(f"websocket-message-{direction}", "w", content=content, **fields)

    async def talk(self, client: Client | None, latency: float = 0.0) -> list[str]:
        """What was told of messages that differ."""

        async def accepted(exchange: Any, limits: Any, protocol: str) -> Client | None:
            assert protocol == "chat"
            return client

        async def listen(session: Client) -> None:
            session.heard.append("listened")

        self._patch.setattr(socket_serving, "accepted", accepted)
        self._patch.setattr(socket_serving, "listen", listen)
        cassette = self._open(MatchOptions())
        (found,) = cassette.recordings
        record = cassette.read(found.answer)  # type: ignore[arg-type]
        exchange = self.stage.exchange("GET /ws", rule=self._rule)
        await socket_serving.serve_websocket(exchange, cassette, found, record, Latency(latency), SocketSettings())
        told = [one["eventData"]["message"] for one in self.stage.log.records if one["type"] == "rule-event"]
        new, self._told = told[self._told :], len(told)
        assert cassette.missed == len(new)
        return new


@pytest.fixture
def served(stage: Any, recorded: Any, cassette: Any, compiled: Any, monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(stage, recorded, cassette, compiled("then: echo"), monkeypatch)


async def test_what_was_said_is_said_behind_as_many_messages(served: Served) -> None:
    served.hears("hello")
    served.says("a")
    served.hears("b", isBinary=True)
    served.recorded.add(
        "websocket-close", "w", closeCode=1000, serverCloseCode=4001, serverCloseReason="done", initiator="server"
    )
    client = Client("a")
    assert await served.talk(client) == []
    assert client.heard == [(b"hello", False), (b"b", True), (4001, "done")]


async def test_a_client_that_closed_is_listened_to(served: Served) -> None:
    served.says("a")
    served.recorded.add("websocket-close", "w", closeCode=1000, initiator="client")
    client = Client("a")
    assert await served.talk(client) == []
    assert client.heard == ["listened"]


async def test_what_is_the_same_is_not_its_spelling(served: Served) -> None:
    served.says('{"a": 1, "token": "' + MARK + '"}')
    served.says("whole", content={"truncated": True})
    assert await served.talk(Client('{"token":"x","a":1}', "another")) == []


async def test_what_differs_is_told(served: Served) -> None:
    for text in ("a", "b", "{"):
        served.says(text)
    client = Client("a", b"\xff", "[")
    assert await served.talk(client) == [
        "the client has said something else in its message 2",
        "the client has said something else in its message 3",
    ]


async def test_a_client_that_closes_or_leaves_too_soon(served: Served) -> None:
    served.says("a")
    served.hears("b")
    client = Client()
    assert await served.talk(client) == ["the client has closed instead of its message 1"]
    assert client.heard == []
    assert await served.talk(Client(GONE)) == ["the client has left before its message 1"]


async def test_a_server_that_broke_off_breaks_off(served: Served) -> None:
    served.recorded.add("abort", "w", error={"code": "ECONNRESET", "message": "gone"})
    client = Client()
    assert await served.talk(client) == []
    assert (served.stage.channel.done, client.heard) == ([("reset",)], [])
    assert served.stage.log.only("abort")["error"]["code"] == "ECONNRESET"


async def test_messages_that_cannot_be_read_are_told(served: Served) -> None:
    served.recorded.add("websocket-message-sent", "w", content={"size": 3, "file": "nowhere"})
    client = Client()
    assert "a recorded message cannot be read: " in (await served.talk(client))[0]
    assert client.heard == [(b"", False), "listened"]


async def test_messages_come_as_late_as_they_did(served: Served) -> None:
    served.hears("late")
    began = anyio.current_time()
    assert await served.talk(Client(), latency=0.05) == []
    assert anyio.current_time() - began >= 0.05  # a second in the recording


async def test_no_handshake_no_conversation(served: Served) -> None:
    assert await served.talk(None) == []


async def test_requests_inside_have_the_ids_of_today(served: Served) -> None:
    """GraphQL clients choose them at random; white space of the document does not count."""
    served.says('{"id": "old", "type": "subscribe", "payload": {"query": "subscription P { p }"}}')
    served.hears('{"id": "old", "type": "next", "payload": {"data": {"p": 1}}}')
    served.hears('{"type": "ping"}')
    client = Client('{"id":"new","type":"subscribe","payload":{"query":"subscription P {\\n  p # now\\n}"}}')
    assert await served.talk(client) == []
    assert client.heard[:2] == [
        (b'{"id":"new","type":"next","payload":{"data":{"p":1}}}', False),
        (b'{"type": "ping"}', False),
    ]


async def test_another_subscription_differs_whatever_its_id(served: Served) -> None:
    served.says('{"id": "old", "type": "subscribe", "payload": {"query": "subscription P { p }"}}')
    client = Client('{"id":"old","type":"subscribe","payload":{"query":"subscription Q { q }"}}')
    assert await served.talk(client) == ["the client has said something else in its message 1"]
