"""One recorded request sent: what the server gets, what the log is told, and when it has failed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from memory_servers import OK, MemoryGateway, MemoryPipe, answering

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.send.recorded_exchange import SendContext
from mockrec.engine.replay.send.request import RequestReplay
from mockrec.engine.replay.send.survey import ClientAbort
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.request import UpstreamRequest

pytestmark = pytest.mark.anyio

LOST = anyio.BrokenResourceError()


@pytest.fixture
def request_to(targets: Any) -> Any:
    """`request_to("GET", "/a")`: as it goes out."""
    from mockrec.engine.upstream.route import Route

    route = Route(False, "shop.test", 80, "shop.test", targets({}).options, ())

    def make(method: str = "GET", target: str = "/", *headers: list[str]) -> UpstreamRequest:
        return UpstreamRequest(route, "http", method, target, [["Host", "shop.test"], *headers], ())

    return make


class Sent:
    """What came of one request."""

    def __init__(self, stage: Any, upstream_client: MemoryGateway) -> None:
        stage.record("request-initiated", "request", "response", "abort")
        self.stage = stage
        self.upstream_client = upstream_client
        self.peer = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 0, 0)
        self.left = 0

    async def send(
        self, request: UpstreamRequest, body: bytes = b"", left: ClientAbort | None = None, *, timeout: float = 60.0
    ) -> str:
        def told() -> None:
            self.left += 1

        tools = SendContext(self.upstream_client, self.stage.exchange_log, timeout, 1024, 1024)  # type: ignore[arg-type]
        return await RequestReplay(tools, self.peer, request, body, "recorded-1", left).run(told)


async def test_a_request_and_its_answer(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(answering(OK)))
    assert await sent.send(request_to("POST", "/a?b", ["Content-Length", "3"]), b"abc") == ""
    (pipe,) = sent.upstream_client.pipes
    assert pipe.sent == b"POST /a?b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\n\r\nabc"
    assert stage.log.types == ["request-initiated", "request", "response"]
    request = stage.log.only("request")
    assert (request["tags"], request["body"]) == (["replay-of:recorded-1"], {"size": 3, "text": "abc"})
    assert stage.log.only("response")["body"] == {"size": 2, "text": "ok"}
    assert (sent.left, (sent.peer.ip, sent.peer.port)) == (1, MemoryPipe.local)


async def test_the_connection_is_kept_for_the_next(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(answering(OK)))
    assert [await sent.send(request_to()) for _ in range(3)] == ["", "", ""]
    assert len(sent.upstream_client.pipes) == 1


async def test_a_large_body_goes_while_the_answer_comes(stage: Any, request_to: Any) -> None:
    def server(pipe: MemoryPipe, data: bytes) -> None:
        if pipe.sent.endswith(b"\r\n0\r\n\r\n"):
            pipe.say(OK)

    sent = Sent(stage, MemoryGateway(server))
    request = request_to("PUT", "/", ["Transfer-Encoding", "chunked"])
    assert await sent.send(request, b"x" * 600_000) == ""
    assert len(sent.upstream_client.kept) == 1
    # One that answers before it has read all of it ends the request, and cannot be used again.
    early = Sent(stage, MemoryGateway(answering(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")))
    assert await early.send(request_to("PUT", "/", ["Content-Length", "600000"]), b"x" * 600_000) == ""


async def test_nobody_is_there(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(answering(OK), error=UpstreamError("ECONNREFUSED", "refused")))
    assert await sent.send(request_to()) == "refused [ECONNREFUSED]"
    error = stage.log.only("abort")["error"]
    assert error == {"name": "UpstreamError", "code": "ECONNREFUSED", "message": "refused"}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (LOST, "ECONNRESET"),
        (anyio.EndOfStream(), "ECONNRESET"),
        (b"no HTTP\r\n\r\n", "HPE_INVALID_CONSTANT"),
        (TimeoutError(), "ETIMEDOUT"),
    ],
)
async def test_no_answer_has_a_reason(stage: Any, request_to: Any, answer: Any, code: str) -> None:
    sent = Sent(stage, MemoryGateway(answering(answer)))
    assert (await sent.send(request_to("POST"))).endswith(f"[{code}]")
    assert stage.log.only("abort")["error"]["code"] == code
    assert sent.upstream_client.kept == {}


@pytest.mark.parametrize(("method", "failed"), [("GET", False), ("POST", True)])
async def test_an_idle_connection_may_be_gone(stage: Any, request_to: Any, method: str, failed: bool) -> None:
    sent = Sent(stage, MemoryGateway(answering(OK, LOST, OK)))
    assert await sent.send(request_to()) == ""
    assert bool(await sent.send(request_to(method))) is failed
    assert len(sent.upstream_client.pipes) == (1 if failed else 2)
    assert stage.log.types.count("request") == 2


async def test_a_client_that_left_before_the_answer_leaves_again(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(lambda pipe, data: None))
    assert await sent.send(request_to(), left=ClientAbort(None, 0.0)) == ""
    assert "error" not in stage.log.only("abort")


PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabcdef"


async def test_a_client_that_left_in_the_answer_leaves_again(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(answering(PART)))
    assert await sent.send(request_to(), left=ClientAbort(4, 1.0)) == ""
    abort = stage.log.only("abort")
    assert ("error" in abort, abort["response"]["body"]["text"]) == (False, "abcdef")
    assert sent.upstream_client.kept == {}


async def test_less_than_the_client_had_heard_is_no_failure(stage: Any, request_to: Any) -> None:
    def server(pipe: MemoryPipe, data: bytes) -> None:
        pipe.say(PART, TimeoutError())

    sent = Sent(stage, MemoryGateway(server))
    assert await sent.send(request_to(), left=ClientAbort(50, 1.0)) == ""
    assert "error" not in stage.log.only("abort")
    assert await sent.send(request_to()) != ""


async def test_what_is_no_url_is_no_request(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(answering(OK)))
    assert "is no URL that can be asked for" in await sent.send(request_to("GET", "http://[::1/"))
    assert stage.log.types == []


async def test_a_replay_that_is_stopped_says_so(stage: Any, request_to: Any) -> None:
    sent = Sent(stage, MemoryGateway(lambda pipe, data: scope.cancel()))
    with anyio.CancelScope() as scope:
        await sent.send(request_to())
    assert scope.cancelled_caught
    assert "error" not in stage.log.only("abort")
