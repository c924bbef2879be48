"""The `then` of rules that are made of recordings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.step import Unservable
from mockrec.engine.replay.session.recorded import is_bare_redirect
from mockrec.engine.replay.to_rules.then import LARGE, then_of

MARK = "redacted-0123abcd"


@pytest.fixture
def then(recorded: Any, cassette: Callable[..., Cassette]) -> Callable[..., Any]:
    """`then(kind, **fields)`: what a recording that ended so becomes; `said`: records before."""

    def make(kind: str = "response", method: str = "GET", said: Any = (), **fields: Any) -> Any:
        first = "websocket-request" if kind == "websocket-accepted" else "request"
        recorded.add(first, "r", method=method, url="http://shop.test/a", path="/a")
        records = [*said, (kind, fields)] if kind != "websocket-accepted" else [(kind, fields), *said]
        for one, more in records:
            recorded.add(one, "r", **more)
        tape = cassette()
        return then_of(tape, tape.recordings[0], method, lambda data, kind: f"saved {len(data)} {kind}")

    return make


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"size": len(text), "text": text, **fields}


JSON = [["Content-Type", "application/json"]]


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({"statusCode": 200}, {}),
        ({"statusCode": 404, "statusMessage": "Not Found"}, {"status": 404}),
        ({"statusCode": 200, "statusMessage": "Fine"}, {"statusMessage": "Fine"}),
        ({"statusCode": 204, "body": body("x")}, {"status": 204}),
        ({"statusCode": 200, "body": body("hi")}, {"body": "hi"}),
        ({"statusCode": 200, "body": {"size": 1, "base64": "/w=="}}, {"base64": "/w=="}),
        ({"statusCode": 200, "body": body("x" * (LARGE + 1))}, {"file": f"saved {LARGE + 1} "}),
        ({"statusCode": 200, "body": body("x" * LARGE)}, {"body": "x" * LARGE}),
        (
            {"statusCode": 200, "rawHeaders": JSON, "body": body('{"a":1}')},
            {"headers": {"Content-Type": "application/json"}, "json": {"a": 1}},
        ),
        (
            {"statusCode": 200, "rawHeaders": JSON, "body": body('{ "a": 1}')},
            {"headers": {"Content-Type": "application/json"}, "body": '{ "a": 1}'},
        ),
        (
            {"statusCode": 200, "rawHeaders": JSON, "body": body("{")},
            {"headers": {"Content-Type": "application/json"}, "body": "{"},
        ),
        ({"statusCode": 200, "rawHeaders": [["V", "a"], ["V", "b"]]}, {"headers": {"V": ["a", "b"]}}),
        ({"statusCode": 200, "rawHeaders": [["V", "a"], ["v", "b"]]}, {"headers": [["V", "a"], ["v", "b"]]}),
        (
            {"statusCode": 200, "rawHeaders": [["Date", "x"], ["Content-Encoding", "gzip"], ["Content-Length", "9"]]},
            {},
        ),
        ({"statusCode": 200, "rawTrailers": [["X-Sum", "1"]]}, {"trailers": {"X-Sum": "1"}}),
        # Fields that no trailer section may have, which foreign files have nevertheless.
        (
            {"statusCode": 200, "rawTrailers": [["Content-Encoding", "gzip"], ["X-Sum", "1"]]},
            {"trailers": {"X-Sum": "1"}},
        ),
        ({"statusCode": 200, "rawTrailers": [["HOST", "a.test"], ["Content-Length", "1"]]}, {}),
    ],
)
def test_replies(then: Any, fields: dict[str, Any], reply: dict[str, Any]) -> None:
    assert then(**fields) == {"reply": reply}


def test_an_answer_to_head_tells_its_length(then: Any) -> None:
    reply = then(method="HEAD", statusCode=200, rawHeaders=[["Content-Length", "3"]])["reply"]
    assert reply == {"body": "..."}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"statusCode": 101}, "no status"),
        ({"statusCode": 200, "body": body("x", truncated=True)}, "was cut"),
        ({"statusCode": 200, "body": {"size": 9, "text": "", "truncated": True}}, "not in the recording"),
        ({"statusCode": 200, "body": {"size": 9, "file": "nowhere"}}, "cannot be read"),
        ({"kind": "abort", "response": {"headers": {"content-type": "text/event-stream"}}}, "stream of events"),
    ],
)
def test_what_no_rule_can_give_again(then: Any, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Unservable, match=said):
        then(**fields)


def test_faults(then: Any) -> None:
    assert then("abort", error={"code": "E_RULE_CLOSE"}) == "close"


def test_other_faults(then: Any) -> None:
    assert then("abort", error={"code": "ECONNRESET"}) == "reset"


def test_interim_answers_are_steps_of_their_own(then: Any) -> None:
    early = {"statusCode": 103, "rawHeaders": [["Link", "</a>"]]}
    told = [("response-information", early), ("response-information", {"statusCode": 100})]
    assert then(said=told, statusCode=200) == [
        {"informational": {"status": 103, "headers": {"Link": "</a>"}}},
        {"reply": {}},
    ]


def message(direction: str, content: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return f"websocket-message-{direction}", {"content": content, **fields}


def test_conversations(then: Any) -> None:
    said = [
        message("sent", body("hello")),
        message("received", body("one")),
        message("received", body(f"token {MARK}.")),
        message("sent", {"size": 1, "base64": "/w=="}, isBinary=True),
        (
            "websocket-close",
            {"closeCode": 1000, "serverCloseCode": 4001, "serverCloseReason": "done", "initiator": "server"},
        ),
    ]
    assert then("websocket-accepted", said=said) == {
        "script": [
            {"send": "hello"},
            {"expect": "one"},
            {"expect": {"regex": r"\Atoken\ .*\.\Z"}},
            {"send": {"base64": "/w=="}},
            {"close": {"code": 4001, "reason": "done"}},
        ]
    }


@pytest.mark.parametrize(
    ("close", "line"),
    [
        ({"closeCode": 1000, "initiator": "server"}, {"close": 1000}),
        ({"closeCode": None, "initiator": "server"}, {"close": None}),
        ({"closeCode": 1000, "initiator": "client"}, {"wait": "0s"}),
    ],
)
def test_the_end_of_conversations(then: Any, close: dict[str, Any], line: dict[str, Any]) -> None:
    assert then("websocket-accepted", said=[("websocket-close", close)]) == {"script": [line]}


def test_conversations_that_were_cut(then: Any) -> None:
    with pytest.raises(Unservable, match="a message of its WebSocket was cut"):
        then("websocket-accepted", said=[message("sent", body("x", truncated=True))])


@pytest.mark.parametrize(
    ("status", "headers", "kept", "bare"),
    [
        (302, [["location", "/x"]], {"text": ""}, True),
        (308, [["Location", "/x"]], {"text": ""}, True),
        (302, [], {"text": ""}, False),
        (304, [["Location", "/x"]], {"text": ""}, False),
        (200, [["Location", "/x"]], {"text": ""}, False),
        (302, [["Location", "/x"]], {"text": "<p>mov"}, False),
    ],
)
def test_a_redirect_needs_no_body(then: Callable[..., Any], status: int, headers: Any, kept: Any, bare: bool) -> None:
    """Browsers never read it, so their HARs do not have it."""
    record = {"statusCode": status, "rawHeaders": headers, "body": {"size": 120, "truncated": True, **kept}}
    assert is_bare_redirect(record) is bare
    if bare:
        assert then(**record) == {"reply": {"status": status, "headers": dict(headers)}}
    elif status != 304:
        with pytest.raises(Unservable, match="its body"):
            then(**record)
