"""Answers and matchers in Python: what a function may return, and what becomes of everything else."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.rules.matching.match import MatcherError
from mockrec.engine.steps.python import matcher_failed, pairs_of, python_handler, response_of

pytestmark = pytest.mark.anyio

JSON = ("Content-Type", "application/json")


# ── results ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("result", "status", "headers", "body"),
    [
        ({}, 200, (), b""),
        ({"status": 404}, 404, (), b""),
        ({"body": "ö"}, 200, (), "ö".encode()),
        ({"body": b"\xff"}, 200, (), b"\xff"),
        ({"body": bytearray(b"ab")}, 200, (), b"ab"),
        ({"body": memoryview(b"ab")}, 200, (), b"ab"),
        ({"json": {"a": None}}, 200, (JSON,), b'{"a":null}'),
        ({"json": None}, 200, (JSON,), b"null"),
        ({"json": 1, "headers": {"content-type": "x/y"}}, 200, (("content-type", "x/y"),), b"1"),
        ({"base64": "AAE="}, 200, (), b"\x00\x01"),
        ({"body": b"ab", "headers": {"Content-Encoding": "gzip"}}, 200, (("Content-Encoding", "gzip"),), b"ab"),
        ({"headers": {"X": 1, "Y": ["a", "b"]}}, 200, (("X", "1"), ("Y", "a"), ("Y", "b")), b""),
        ({"headers": [("X", "a"), ["X", "b"]]}, 200, (("X", "a"), ("X", "b")), b""),
        (
            {"body": "ab", "headers": {"Content-Length": 99, "TRANSFER-encoding": "x", "Z": 1}},
            200,
            (("Z", "1"),),
            b"ab",
        ),
        (MappingProxyType({"status": 299}), 299, (), b""),
    ],
)
def test_what_a_result_stands_for(result: Any, status: int, headers: Any, body: bytes) -> None:
    answer = response_of(result)
    assert (answer.status, answer.headers, answer.body, answer.trailers) == (status, headers, body, ())


def test_text_and_json_are_encoded_as_their_header_says() -> None:
    headers = {"Content-Encoding": "gzip"}
    assert gzip.decompress(response_of({"body": "äb", "headers": headers}).body) == "äb".encode()
    assert gzip.decompress(response_of({"json": [1], "headers": headers}).body) == b"[1]"
    with pytest.raises(ValueError, match="x-none"):
        response_of({"body": "a", "headers": {"Content-Encoding": "x-none"}})


def test_reason_and_trailers_of_a_result() -> None:
    answer = response_of({"statusMessage": "Fine", "trailers": {"Sum": 7}})
    assert (answer.reason, answer.trailers) == ("Fine", (("Sum", "7"),))
    assert response_of({"status": 404}).reason == "Not Found"


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (7, TypeError, 'expected a mapping with the keys of reply, "close" or "reset", not int'),
        (None, TypeError, 'it returned None; an answer is a mapping such as {"status": 204}'),
        ([], TypeError, "not list"),
        ("closed", TypeError, 'not str "closed"'),
        (b"close", TypeError, "not bytes"),
        ({"stauts": 200}, ValueError, 'did you mean "status"?'),
        ({1: 2}, ValueError, "unknown key"),
        ({"status": "200"}, ValueError, "status: expected 200 to 599, got '200'"),
        ({"status": True}, ValueError, "got True"),
        ({"status": 100}, ValueError, "got 100"),
        ({"status": 600}, ValueError, "got 600"),
        ({"statusMessage": 1}, TypeError, "statusMessage: expected text, got 1"),
        ({"body": {"a": 1}}, TypeError, "body: expected text or bytes, got dict; `json` takes data"),
        ({"body": None}, TypeError, "got NoneType"),
        ({"body": "a", "json": 1}, ValueError, "give only one of body and json"),
        ({"body": "a", "json": 1, "base64": ""}, ValueError, "give only one of body and json and base64"),
        ({"json": object()}, TypeError, "not JSON serializable"),
        ({"base64": "?"}, ValueError, ""),
        ({"base64": 1}, TypeError, ""),
        ({"headers": 1}, TypeError, "headers: expected a mapping or pairs, got 1"),
        ({"headers": ["abc"]}, TypeError, "headers: expected a mapping or pairs"),
        ({"trailers": [("a",)]}, TypeError, "trailers: expected a mapping or pairs"),
        ({"headers": {"X": "a\nb"}}, ValueError, "headers: no message can hold the field 'X': 'a\\nb'"),
        ({"headers": {"a b": "c"}}, ValueError, "headers: no message can hold the field 'a b'"),
        ({"headers": {"": "c"}}, ValueError, "headers: no message can hold"),
        ({"trailers": {"X": "a\r"}}, ValueError, "trailers: no message can hold"),
        ({"trailers": {"X": "\0"}}, ValueError, "trailers: no message can hold"),
        ({"trailers": {"X": "€"}}, ValueError, "trailers: no message can hold"),
    ],
)
def test_what_stands_for_nothing(result: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        response_of(result)
    assert message in str(caught.value)


def test_no_fields_are_no_pairs() -> None:
    assert pairs_of(None, "headers") == pairs_of({}, "headers") == pairs_of([], "headers") == ()


# ── the step ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_plain_function_runs_beside_the_event_loop(stage: Any) -> None:
    threads = []

    def handler(request: Any) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return {"body": request.method + request.text}

    await stage.act(python_handler(handler), "POST /", body=b" it")
    assert stage.channel.done[0][3] == b"POST it"
    assert threads != [threading.current_thread()]


async def test_an_async_function_runs_in_an_event_loop_of_its_own(stage: Any) -> None:
    async def handler(request: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is not ours  # it must hold up nobody else, whatever it does
        return {"body": threading.current_thread().name}

    ours = asyncio.get_running_loop()
    await stage.act(python_handler(handler))
    assert stage.channel.done[0][3].decode() != threading.current_thread().name


async def test_what_a_plain_function_returns_may_be_awaitable(stage: Any) -> None:
    async def answer() -> dict[str, Any]:
        return {"status": 202}

    await stage.act(python_handler(lambda request: answer()))
    assert stage.channel.done[0][1] == 202


async def test_the_function_gets_the_complete_request(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "4"), complete=False, body=b"ab")
    seen = []

    def handler(request: Any) -> dict[str, Any]:
        seen.append((request.body, request.body_complete))
        return {}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(python_handler(handler), exchange)
        await wait_all_tasks_blocked()
        assert seen == []
        exchange.take_data(b"cd")
        exchange.take_end(())
    assert seen == [(b"abcd", True)]
    assert stage.channel.done[0][1] == 200


@pytest.mark.parametrize("word", ["close", "reset"])
async def test_a_function_can_end_the_connection(stage: Any, word: str) -> None:
    await stage.act(python_handler(lambda request: word))
    assert stage.channel.done == [(word,)]
    assert stage.log.only("abort")["error"]["code"] == f"E_RULE_{word.upper()}"


def _raises(request: Any) -> Any:
    raise RuntimeError("broken on purpose")


def _wrong(request: Any) -> Any:
    return {"stauts": 1}


def _breaks_the_head(request: Any) -> Any:
    return {"headers": {"X": "a\nb"}}


async def _raises_later(request: Any) -> Any:
    await asyncio.sleep(0)
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("handler", "name", "message"),
    [
        (_raises, "RuntimeError", "broken on purpose"),
        (_raises_later, "RuntimeError", "broken on purpose"),
        (_wrong, "ValueError", 'did you mean "status"?'),
        (_breaks_the_head, "ValueError", ""),
    ],
)
async def test_what_a_function_does_wrong_is_a_500_and_recorded(
    stage: Any, compiled: Any, handler: Callable[..., Any], name: str, message: str
) -> None:
    await stage.act(python_handler(handler), rule=compiled("id: it\nthen: close"))
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    assert f"{handler.__name__}() failed: {name}: " in body.decode()
    assert message in body.decode()
    event = stage.log.only("rule-event")
    assert (event["eventType"], event["ruleId"]) == ("python-error", "it")
    error = event["eventData"]["error"]
    assert error["name"] == name
    assert "Traceback" in error["stack"]
    assert (handler.__name__ in error["stack"]) == handler.__name__.startswith("_raises")


async def test_a_client_that_leaves_is_not_the_functions_fault(stage: Any) -> None:
    stage.channel._gone_after = 0
    with pytest.raises(anyio.BrokenResourceError):
        await stage.act(python_handler(lambda request: None))
    assert "rule-event" not in stage.log.types


async def test_a_function_is_left_alone_when_its_exchange_ends(stage: Any) -> None:
    may_end = threading.Event()
    began = threading.Event()

    def handler(request: Any) -> None:
        began.set()
        may_end.wait(20)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.act, python_handler(handler))
        await anyio.to_thread.run_sync(began.wait, 20)
        tasks.cancel_scope.cancel()
    may_end.set()
    assert stage.channel.done == []


# ── matchers ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_matcher_that_fails_is_a_500_in_the_name_of_its_rule(stage: Any) -> None:
    try:
        raise KeyError("sid")
    except KeyError as raised:
        error = MatcherError("guarded", raised)
    plan = matcher_failed(error)
    assert plan.never_blocks
    await stage.act(plan.run)
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    assert body.decode().startswith("the python matcher of ")
    assert "guarded" in body.decode()
    event = stage.log.only("rule-event")
    assert (event["eventType"], event["ruleId"]) == ("python-error", "guarded")
    assert event["eventData"]["error"]["name"] == "KeyError"
    assert "matchedRuleId" not in stage.log.only("response")
