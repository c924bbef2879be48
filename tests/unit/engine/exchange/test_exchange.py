"""An exchange: what steps can do with it, and what always holds."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.message.response import PreparedResponse
from mockrec.formats.content.codings import UndecodableError

pytestmark = pytest.mark.anyio


async def test_a_whole_answer_is_one_write(stage: Any) -> None:
    exchange = stage.exchange()
    assert not exchange.response_started
    await exchange.reply(PreparedResponse(200, (("X", "y"),), b"hello"))
    assert stage.channel.done == [("whole", 200, [("X", "y"), ("Content-Length", "5")], b"hello", ())]
    assert exchange.response_started
    assert exchange.finished
    assert exchange.started_at <= exchange.headers_sent_at <= exchange.response_sent_at


async def test_an_answer_in_pieces(stage: Any) -> None:
    exchange = stage.exchange()
    await exchange.begin(PreparedResponse(200), 3)
    for piece in (b"a", b"", b"bc"):
        await exchange.send(piece)
    assert not exchange.finished
    await exchange.finish()
    assert stage.channel.done == [
        ("head", 200, [("Content-Length", "3")]), ("data", b"a"), ("data", b"bc"), ("end", ()),
    ]  # fmt: skip
    assert exchange.sent_body == b"abc"
    assert stage.log.only("response")["body"] == {"size": 3, "text": "abc"}


@pytest.mark.parametrize("start", ["HEAD /", "GET /"])
@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("whole", [True, False])
async def test_bodies_that_are_not_sent_are_not_logged(stage: Any, start: str, status: int, whole: bool) -> None:
    exchange = stage.exchange(start)
    if whole:
        await exchange.reply(PreparedResponse(status, (), b"hello"))
    else:
        await exchange.begin(PreparedResponse(status))
        await exchange.send(b"hello")
        await exchange.finish()
    sent = b"hello" if (start, status) == ("GET /", 200) else b""
    assert b"".join(part for done in stage.channel.done for part in done if isinstance(part, bytes)) == sent
    assert exchange.sent_body == sent
    assert stage.log.only("response")["body"]["size"] == len(sent)


async def test_a_response_that_cannot_be_sent_is_not_logged(stage: Any) -> None:
    exchange = stage.exchange()
    for send in (exchange.reply, exchange.begin):
        with pytest.raises(ValueError, match="no head"):
            await send(PreparedResponse(200, (("X", "a\nb"),)))
    assert not exchange.response_started
    assert stage.log.types == ["request-initiated", "request-body-data", "request"]
    await exchange.reply(PreparedResponse(500))
    assert stage.log.only("response")["statusCode"] == 500


async def test_the_servers_own_headers_yield_to_the_rules(stage: Any) -> None:
    exchange = stage.exchange()
    exchange.extra_headers = (("Vary", "Origin"), ("Access-Control-Allow-Origin", "*"))
    answer = PreparedResponse(200, (("vary", "Accept"),), b"x")
    await exchange.reply(answer)
    assert stage.channel.done[0][2] == [
        ("vary", "Accept"),
        ("Access-Control-Allow-Origin", "*"),
        ("Content-Length", "1"),
    ]
    assert answer.headers == (("vary", "Accept"),)


@pytest.mark.parametrize("first", ["abort", "reply"])
async def test_an_exchange_ends_once(stage: Any, first: str) -> None:
    exchange = stage.exchange()
    if first == "reply":
        await exchange.reply(PreparedResponse(200))
    for _ in range(3):
        exchange.abort({"code": "E_X"})
    assert [kind for kind in stage.log.types if kind in ("response", "abort")] == [
        "response" if first == "reply" else "abort"
    ]


@pytest.mark.parametrize("ending", ["abort", "reply", "finish"])
async def test_the_callbacks_of_the_end_are_called(stage: Any, ending: str) -> None:
    exchange = stage.exchange()
    called: list[str] = []
    exchange.on_end = [lambda: called.append("a"), lambda: called.append("b")]
    if ending == "abort":
        exchange.abort(None)
    elif ending == "reply":
        await exchange.reply(PreparedResponse(200))
    else:
        await exchange.begin(PreparedResponse(200))
        assert called == []
        await exchange.finish()
    exchange.abort(None)
    assert called == ["a", "b"]


async def test_a_request_that_ends_after_its_response_is_still_logged(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "4"), complete=False, body=b"ab")
    await exchange.reply(PreparedResponse(200))
    exchange.take_data(b"cd")
    exchange.take_end(())
    assert stage.log.types[-2:] == ["request-body-data", "request"]
    assert stage.log.types.index("response") < stage.log.types.index("request")
    assert stage.log.only("request")["body"] == {"size": 4, "text": "abcd"}


async def test_a_request_is_not_logged_after_an_abort(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "4"), complete=False)
    exchange.abort(None)
    before = stage.log.types
    exchange.take_data(b"abcd")
    exchange.take_end(())
    assert stage.log.types == before
    assert exchange.request_body.kept == b"abcd"


async def test_a_request_is_logged_when_its_rule_is_known(stage: Any, compiled: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "1"), complete=False)
    exchange.chosen = False
    exchange.take_end(())
    assert "request" not in stage.log.types
    exchange.choose(compiled("id: it\nthen: close"))
    assert stage.log.only("request")["matchedRuleId"] == "it"


async def test_waiting_for_the_body(stage: Any) -> None:
    await stage.exchange().wait_for_body()
    exchange = stage.exchange("POST /", ("Content-Length", "1"), complete=False)
    woken: list[int] = []

    async def wait(number: int) -> None:
        await exchange.wait_for_body()
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert woken == []
        exchange.take_end(())
    assert sorted(woken) == [0, 1, 2]


async def test_matchers_see_the_body_decoded_and_whole(stage: Any) -> None:
    exchange = stage.exchange("POST /", body=b"\xc3\xb6")
    assert (exchange.view.body, exchange.view.text, exchange.view.body_complete) == (b"\xc3\xb6", "ö", True)
    broken = stage.exchange("POST /", ("Content-Encoding", "gzip"), body=b"no gzip")
    with pytest.raises(UndecodableError):
        _ = broken.view.body


async def test_bytes_past_the_protocol_are_kept_as_far_as_they_look_like_a_response(stage: Any) -> None:
    exchange = stage.exchange()
    await exchange.send_past_protocol(b"junk", None, b"")
    assert not exchange.response_started
    assert stage.channel.done == [("raw", b"junk")]


@pytest.mark.parametrize("ending", ["reply", "abort"])
async def test_an_exchange_is_freed_without_the_garbage_collector(stage: Any, ending: str) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "2"), body=b"a", complete=False)
    exchange.on_end = [lambda: exchange.id]
    freed: list[str] = []
    gc.disable()
    try:
        weakref.finalize(_watch(exchange), freed.append, "exchange")
        if ending == "abort":
            exchange.abort(None)
        else:
            await exchange.reply(PreparedResponse(200, (), b"b"))
            exchange.take_end(())
        view = exchange.view
        exchange = None
        assert freed == ["exchange"]
        assert view.body == b"a"
    finally:
        gc.enable()


class Watch(list[Any]):
    """No headers; lives as long as the exchange that has it."""


def _watch(exchange: Any) -> Watch:
    exchange.extra_headers = watch = Watch()
    return watch
