"""A recorded WebSocket held again with servers in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from memory_servers import OK, MemoryGateway, MemoryPipe, answering

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.recorded_exchange import SendContext
from mockrec.engine.replay.send.websocket import RecordedScript, WebSocketReplay
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.websocket.connection import CloseFrame, Fragment, WebSocket

pytestmark = pytest.mark.anyio

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
Answer = Callable[[bytes], list[bytes | int]]


def socket_server(first: list[bytes | int], answer: Answer = lambda said: []) -> Callable[[MemoryPipe, bytes], None]:
    """Says `first`, and to each message what `answer` gives: messages, or the code of a close frame."""

    def speak(pipe: MemoryPipe, said: list[bytes | int]) -> None:
        codec: WebSocket = pipe.state
        for one in said:
            frame = codec.send_close(one) if isinstance(one, int) else codec.send_message(one, is_binary=False)
            pipe.say(frame)

    def server(pipe: MemoryPipe, data: bytes) -> None:
        if pipe.state is None:
            pipe.state = WebSocket("server", deflate=None, message_limit=1 << 20)
            pipe.say(SWITCHING)
            speak(pipe, first)
            return
        for part in pipe.state.receive(data):
            if type(part) is Fragment:
                speak(pipe, answer(bytes(part.data)))
            elif type(part) is CloseFrame and not pipe.state.close_sent:
                pipe.say(pipe.state.send_close(part.code))

    return server


def message(direction: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": f"websocket-message-{direction}",
        "content": {"size": len(text), "text": text},
        "isBinary": False,
        **fields,
    }


ACCEPTED = {"type": "websocket-accepted"}
CLOSED = {"type": "websocket-close", "closeCode": 1000, "closeReason": "", "initiator": "client"}


class Held:
    """Conversations, and what came of them."""

    def __init__(self, stage: Any, targets: Any) -> None:
        stage.record(
            *("websocket-request", "websocket-accepted", "websocket-message-sent", "websocket-message-received"),
            *("websocket-close", "abort", "response"),
        )
        self.stage = stage
        self.route = Route(False, "shop.test", 80, "shop.test", targets({}).options, ())
        self.upstream_client = MemoryGateway(socket_server([]))

    async def hold(
        self,
        *records: dict[str, Any],
        timeout: float = 60.0,
        fill: Callable[[bytes], bytes] = bytes,
        left: bool = False,
    ) -> str:
        """`left`: the session does not tell how it ended."""
        request = UpstreamRequest(self.route, "http", "GET", "/ws", [["Host", "shop.test"]], ())
        tools = SendContext(self.upstream_client, self.stage.exchange_log, timeout, 1024, 1 << 20)  # type: ignore[arg-type]
        peer = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 0, 0)

        async def filled(data: bytes, record: Any) -> bytes:
            return fill(data)

        talk = WebSocketReplay(tools, peer, request, "recorded-1", Pace(), filled, None)
        for record in (ACCEPTED, *records):
            await talk.script.add(record)
        if left:
            talk.script.end()
        return await talk.run(lambda: None)

    @property
    def said(self) -> list[tuple[str, str]]:
        """Direction and text of all messages in the log."""
        messages = [one for one in self.stage.log.records if one["type"].startswith("websocket-message")]
        return [(one["direction"], one["content"]["text"]) for one in messages]


@pytest.fixture
def held(stage: Any, targets: Any) -> Held:
    return Held(stage, targets)


async def test_messages_wait_for_the_recorded_answers(held: Held) -> None:
    held.upstream_client = MemoryGateway(socket_server([b"hello"], lambda said: [b"re:" + said]))
    problem = await held.hold(
        message("sent", "hello"), message("received", "a"), message("sent", "re:a"), message("received", "b"),
        message("sent", "something else"), CLOSED,
    )  # fmt: skip
    assert problem == ""
    assert held.said == [("sent", "hello"), ("received", "a"), ("sent", "re:a"), ("received", "b"), ("sent", "re:b")]
    close = held.stage.log.only("websocket-close")
    assert (close["closeCode"], close["initiator"]) == (1000, "client")
    assert held.stage.log.only("websocket-request")["tags"] == ["replay-of:recorded-1"]


async def test_the_server_closes_as_it_did(held: Held) -> None:
    held.upstream_client = MemoryGateway(socket_server([], lambda said: [4001]))
    assert await held.hold(message("received", "bye"), {**CLOSED, "closeCode": 4001, "initiator": "server"}) == ""
    close = held.stage.log.only("websocket-close")
    assert (close["closeCode"], close["initiator"]) == (4001, "server")


async def test_a_session_without_an_end_is_closed_in_an_ordinary_way(held: Held) -> None:
    assert await held.hold(message("received", "a"), left=True) == ""
    assert held.stage.log.only("websocket-close")["closeCode"] == 1000


async def test_a_client_that_left_leaves(held: Held) -> None:
    assert await held.hold(message("received", "a"), {"type": "abort"}) == ""
    assert "error" not in held.stage.log.only("abort")
    assert held.upstream_client.pipes[0].closed


async def test_answers_that_do_not_come(held: Held) -> None:
    problem = await held.hold(message("sent", "hello"), message("received", "a"), CLOSED, timeout=0.05)
    assert problem == "0 of 1 recorded answers have come, and no more within 0.05s [ETIMEDOUT]"
    assert held.stage.log.only("abort")["error"]["code"] == "ETIMEDOUT"


async def test_a_server_that_closes_too_soon(held: Held) -> None:
    held.upstream_client = MemoryGateway(socket_server([1001]))
    problem = await held.hold(message("sent", "hello"), message("received", "a"), CLOSED)
    assert problem == "the server has closed the WebSocket before the conversation was over"


async def test_a_server_that_does_not_close(held: Held) -> None:
    def server(pipe: MemoryPipe, data: bytes) -> None:
        if pipe.state is None:
            pipe.state = True
            pipe.say(SWITCHING)

    held.upstream_client = MemoryGateway(server)
    assert await held.hold(CLOSED, timeout=0.05) == "it has not closed the WebSocket [ECONNRESET]"


async def test_a_server_that_goes_away(held: Held) -> None:
    def server(pipe: MemoryPipe, data: bytes) -> None:
        pipe.say(SWITCHING, anyio.EndOfStream())

    held.upstream_client = MemoryGateway(server)
    problem = await held.hold(message("sent", "hello"), CLOSED)
    assert problem == "it has gone without a close frame [ECONNRESET]"


async def test_a_refusal_is_an_ordinary_answer(held: Held) -> None:
    held.upstream_client = MemoryGateway(answering(OK.replace(b"200 OK", b"403 No")))
    assert await held.hold(message("received", "a"), CLOSED) == ""
    response = held.stage.log.only("response")
    assert (response["statusCode"], response["body"]) == (403, {"size": 2, "text": "ok"})


async def test_an_extension_that_nobody_offered(held: Held) -> None:
    head = SWITCHING.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    held.upstream_client = MemoryGateway(answering(head))
    assert "it agrees to what nobody offered" in await held.hold(CLOSED)


async def test_nobody_is_there(held: Held) -> None:
    held.upstream_client.error = UpstreamError("ECONNREFUSED", "refused")
    assert await held.hold(CLOSED) == "refused [ECONNREFUSED]"


async def test_messages_are_filled_and_those_that_were_cut_cannot_be_said(held: Held) -> None:
    assert await held.hold(message("received", "mark"), CLOSED, fill=lambda data: data.replace(b"mark", b"x")) == ""
    assert held.said == [("received", "x")]
    cut = message("received", "a", content={"size": 9, "text": "a", "truncated": True})
    assert await held.hold(cut, CLOSED) == "its recorded message was cut [E_SESSION]"


# ── what is read ahead ─────────────────────────────────────────────────────────────────────────────


async def test_a_script_ends_where_its_session_does() -> None:
    script = RecordedScript()
    await script.add(ACCEPTED)
    script.end()
    assert [await script.next(), await script.next()] == [ACCEPTED, None]


async def test_reading_waits_for_a_conversation_that_is_behind() -> None:
    script = RecordedScript()
    added = 0

    async def add() -> None:
        nonlocal added
        for _ in range(4097):
            await script.add(ACCEPTED)
            added += 1

    async with anyio.create_task_group() as group:
        group.start_soon(add)
        await anyio.wait_all_tasks_blocked()
        assert added == 4096
        await script.next()
    assert added == 4097


async def test_nobody_waits_for_a_conversation_that_is_over() -> None:
    script = RecordedScript()
    for _ in range(4096):
        await script.add(ACCEPTED)
    async with anyio.create_task_group() as group:
        group.start_soon(script.add, ACCEPTED)
        await anyio.wait_all_tasks_blocked()
        script.drop()
    await script.add(ACCEPTED)
    script.end()
    assert await script.next() is None
