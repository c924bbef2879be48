"""Every kind of record: what is in it, that it is as the schema says, and that it never changes later."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.target_uri import PLAIN
from mockrec.engine.recording.event_log import ALWAYS, wanted_types
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.wire.parts import Fault, ResponseHead
from mockrec.formats.schema.events import DEFAULT_EVENTS, EVENT_TYPES

pytestmark = pytest.mark.anyio

PEER = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 50000, 8000)
REFUSED = ResponseHead(400, "Bad Request", [["Connection", "close"]], {"connection": "close"})
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))


def milestones(record: dict[str, Any]) -> set[str]:
    return {name.removesuffix("Timestamp") for name in record["timingEvents"]} - {"startTime", "start"}


async def answered(stage: Any, *args: Any, **more: Any) -> Any:
    exchange = stage.exchange(*args, **more)
    await exchange.reply(PreparedResponse(201, (("X", "y"),), b"hello"))
    return exchange


# ── what each record holds ─────────────────────────────────────────────────────────────────────────


async def test_the_records_of_an_exchange_in_order(stage: Any) -> None:
    await answered(stage, "POST /", body=b"ab")
    assert stage.log.types == [
        "request-initiated", "request-body-data", "request", "response-initiated", "response-body-data", "response",
    ]  # fmt: skip
    assert len({(record["id"], record["connectionId"]) for record in stage.log.records}) == 1
    stamps = [record["timestamp"] for record in stage.log.records]
    assert stamps == sorted(stamps)


async def test_the_head_of_a_request(stage: Any, compiled: Any) -> None:
    await answered(stage, "POST /p?q=1", ("X", "a"), ("x", "b"), body=b"ab", rule=compiled("id: it\nthen: close"))
    first, whole = stage.log.only("request-initiated"), stage.log.only("request")
    head = {
        "protocol": "http",
        "httpVersion": "1.1",
        "method": "POST",
        "url": "http://example.test/p?q=1",
        "path": "/p?q=1",
        "destination": {"hostname": "example.test", "port": 80},
        "remoteIpAddress": "127.0.0.1",
        "remotePort": 50000,
        "headers": {"host": "example.test", "x": "a, b"},
        "rawHeaders": [["Host", "example.test"], ["X", "a"], ["x", "b"]],
        "tags": [],
    }
    assert head.items() <= first.items()
    assert head.items() <= whole.items()
    assert "matchedRuleId" not in first
    assert "body" not in first
    assert whole["matchedRuleId"] == "it"
    assert whole["body"] == {"size": 2, "text": "ab"}


async def test_a_request_with_no_fields_at_all_has_no_empty_object(stage: Any) -> None:
    exchange = stage.exchange("GET /", version="1.0")
    exchange.target.headers = {}
    exchange.target.raw_headers = []
    exchange.target.log_form = None
    stage.exchange_log.request_initiated(exchange)
    assert "headers" not in stage.log.records[-1]
    assert stage.log.records[-1]["rawHeaders"] == []


async def test_a_record_knows_only_what_has_happened(stage: Any) -> None:
    await answered(stage, "POST /", body=b"ab")
    assert [(record["type"], milestones(record)) for record in stage.log.records if "timingEvents" in record] == [
        ("request-initiated", set()),
        ("request", {"bodyReceived"}),
        ("response-initiated", {"bodyReceived", "headersSent"}),
        ("response", {"bodyReceived", "headersSent", "responseSent"}),
    ]


async def test_a_record_has_the_tags_of_its_moment(stage: Any) -> None:
    exchange = stage.exchange()
    exchange.tag("a", "b")
    await exchange.send_interim(103)
    exchange.tag("c")
    exchange.abort(None)
    assert [record.get("tags") for record in stage.log.records if "tags" in record] == [
        [], [], ["a", "b"], ["a", "b", "c"],
    ]  # fmt: skip


async def test_trailers_of_a_request(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Transfer-Encoding", "chunked"), complete=False)
    exchange.take_data(b"a")
    exchange.take_end([["Sum", "1"], ["sum", "2"]])
    record = stage.log.only("request")
    assert record["trailers"] == {"sum": "1, 2"}
    assert record["rawTrailers"] == [["Sum", "1"], ["sum", "2"]]


async def test_a_terminal_record_summarises_the_exchange(stage: Any, compiled: Any) -> None:
    await answered(stage, "POST /p", rule=compiled("id: it\nthen: close"))
    record = stage.log.only("response")
    story = {"method": "POST", "url": "http://example.test/p", "host": "example.test", "matchedRuleId": "it"}
    assert story.items() <= record.items()
    assert record["duration"] >= 0
    timing = record["timingEvents"]
    assert record["duration"] == pytest.approx(timing["responseSentTimestamp"] - timing["startTimestamp"], abs=0.001)
    assert record["body"] == {"size": 5, "text": "hello"}
    assert record["rawHeaders"] == [["X", "y"], ["Content-Length", "5"]]


async def test_an_abort_before_anything_was_sent(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "9"), body=b"part", complete=False)
    exchange.abort({"name": "AbortError", "code": "E_X", "message": "gone"})
    record = stage.log.only("abort")
    assert record["error"] == {"name": "AbortError", "code": "E_X", "message": "gone"}
    assert record["requestBody"] == {"size": 4, "text": "part", "incomplete": True}
    assert record["host"] == "example.test"
    assert "response" not in record
    assert milestones(record) == {"aborted"}
    assert "request" not in stage.log.types


async def test_an_abort_after_the_request_was_complete(stage: Any) -> None:
    exchange = stage.exchange("POST /", body=b"whole")
    exchange.abort(None)
    record = stage.log.only("abort")
    assert "requestBody" not in record
    assert "error" not in record
    assert stage.log.types[-2:] == ["request", "abort"]


async def test_an_abort_in_the_middle_of_a_response(stage: Any) -> None:
    exchange = stage.exchange()
    await exchange.begin(PreparedResponse(200, (("X", "y"),)))
    await exchange.send(b"half")
    exchange.abort(None)
    response = stage.log.only("abort")["response"]
    assert response["statusCode"] == 200
    assert response["headers"]["x"] == "y"
    assert response["body"] == {"size": 4, "text": "half", "incomplete": True}
    assert stage.log.types[-2:] == ["response-body-data", "abort"]


async def test_an_upgrade_to_websocket(stage: Any) -> None:
    await answered(stage, "GET /chat", *UPGRADE)
    assert stage.log.types[0] == "request-body-data" or stage.log.types[0] == "websocket-request"
    record = stage.log.only("websocket-request")
    assert (record["protocol"], record["url"]) == ("ws", "ws://example.test/chat")
    assert record["body"] == {"size": 0, "text": ""}
    assert {"request", "request-initiated"}.isdisjoint(stage.log.types)
    assert stage.log.only("response")["statusCode"] == 201


async def test_an_upgrade_that_is_aborted_is_logged_too(stage: Any) -> None:
    stage.record(*DEFAULT_EVENTS)
    exchange = stage.exchange("GET /chat", *UPGRADE, complete=False)
    exchange.abort(None)
    assert stage.log.types == ["websocket-request", "abort"]


async def test_interim_responses(stage: Any) -> None:
    exchange = stage.exchange()
    await exchange.send_interim(103, (("Link", "a"), ("link", "b")))
    record = stage.log.only("response-information")
    assert (record["statusCode"], record["statusMessage"]) == (103, "Early Hints")
    assert record["headers"] == {"link": "a, b"}
    assert record["eventTimestamp"] >= record["timingEvents"]["startTimestamp"]


async def test_a_rule_event(stage: Any, compiled: Any) -> None:
    exchange = stage.exchange(rule=compiled("id: it\nthen: close"))
    stage.exchange_log.rule_event(exchange, "mine", {"a": None})
    stage.exchange_log.rule_event(exchange, "mine", {}, rule_id="other")
    first, second = (record for record in stage.log.records if record["type"] == "rule-event")
    assert (first["ruleId"], first["eventType"], first["eventData"]) == ("it", "mine", {"a": None})
    assert first["requestId"] == first["id"] == exchange.id
    assert second["ruleId"] == "other"


async def test_no_rule_event_without_a_rule(stage: Any) -> None:
    stage.exchange_log.rule_event(stage.exchange(), "mine", {})
    assert "rule-event" not in stage.log.types


# ── client errors ──────────────────────────────────────────────────────────────────────────────────


async def test_a_client_error_that_was_answered(stage: Any) -> None:
    raw = b"GET / HTTP/1.1\r\nbad\r\n\r\n"
    stage.exchange_log.client_error(
        PEER, Fault("HPE_INVALID_HEADER_TOKEN", raw=raw), PLAIN, started_at=1.5, answered=REFUSED, body=b"no"
    )
    record = stage.log.only("client-error")
    assert record["errorCode"] == "HPE_INVALID_HEADER_TOKEN"
    assert "exchangeId" not in record
    assert "aborted" not in record
    tags = ["client-error:HPE_INVALID_HEADER_TOKEN"]
    response = record["response"]
    assert response["statusCode"] == 400
    assert response["id"] == record["request"]["id"] == record["id"]
    assert response["body"] == {"size": 2, "text": "no"}
    assert record["errorMessage"] == "line 2 of the head has no colon; expected name: value"
    assert response["rawHeaders"] == [["Connection", "close"]]
    assert response["headers"] == {"connection": "close"}
    assert response["tags"] == record["request"]["tags"] == tags
    assert record["request"]["rawHead"] == {"size": len(raw), "text": raw.decode()}
    assert milestones(response) == {"responseSent"}
    assert response["timingEvents"]["startTimestamp"] == 1.5


async def test_a_client_error_without_a_response(stage: Any) -> None:
    stage.exchange_log.client_error(PEER, Fault("ECONNRESET", status=0), PLAIN, started_at=1.0, answered=None)
    record = stage.log.only("client-error")
    assert record["aborted"] is True
    assert "response" not in record
    assert milestones(record["request"]) == {"aborted"}
    assert "rawHead" not in record["request"]


@pytest.mark.parametrize(("tag", "tagged"), [("header-overflow", "header-overflow"), ("odd", "client-error:odd")])
async def test_a_fault_may_have_a_tag_and_a_message(stage: Any, tag: str, tagged: str) -> None:
    stage.exchange_log.client_error(
        PEER, Fault("X", status=0, detail="why", tag=tag), PLAIN, started_at=1.0, answered=None
    )
    record = stage.log.only("client-error")
    assert record["errorMessage"] == "why"
    assert record["request"]["tags"] == ["client-error:X", tagged]


async def test_a_head_that_is_too_large_has_a_tag_of_its_own(stage: Any) -> None:
    stage.exchange_log.client_error(
        PEER, Fault("HPE_HEADER_OVERFLOW", status=431), PLAIN, started_at=1.0, answered=REFUSED
    )
    assert stage.log.only("client-error")["request"]["tags"] == ["client-error:HPE_HEADER_OVERFLOW", "header-overflow"]


async def test_a_client_error_names_the_exchange_it_broke(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "9"), complete=False)
    stage.exchange_log.client_error(PEER, Fault("X"), PLAIN, started_at=1.0, answered=None, exchange=exchange)
    record = stage.log.only("client-error")
    assert record["exchangeId"] == exchange.id
    assert record["request"]["id"] == record["id"] != exchange.id


# ── choices ────────────────────────────────────────────────────────────────────────────────────────


def test_which_types_are_wanted() -> None:
    assert wanted_types("default") == frozenset(DEFAULT_EVENTS)
    assert wanted_types("all") == frozenset(EVENT_TYPES)
    assert wanted_types(("response",)) == {"response"} | ALWAYS
    assert wanted_types("default") == frozenset(EVENT_TYPES) - {
        "request-body-data", "response-initiated", "response-body-data",
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        "request-initiated", "request-body-data", "request", "response-information", "response-initiated",
        "response-body-data", "response", "abort", "websocket-request", "client-error", "rule-event",
    ],
)  # fmt: skip
async def test_only_wanted_types_are_written(stage: Any, compiled: Any, kind: str) -> None:
    stage.record(kind)
    rule = compiled("id: it\nthen: close")
    exchange = stage.exchange("POST /", body=b"a", rule=rule)
    await exchange.send_interim(102)
    stage.exchange_log.rule_event(exchange, "t", {})
    await exchange.reply(PreparedResponse(200, (), b"b"))
    stage.exchange("GET /", *UPGRADE, rule=rule).abort(None)
    stage.exchange_log.client_error(PEER, Fault("X"), PLAIN, started_at=1.0, answered=None)
    assert set(stage.log.types) == {kind}


async def test_the_end_of_every_exchange_is_reported(stage: Any) -> None:
    stage.record("client-error")
    over: list[Any] = []
    stage.exchange_log.ended = over.append
    first = await answered(stage)
    second = stage.exchange()
    second.abort(None)
    assert over == [first, second]
    assert stage.log.types == []


async def test_equal_responses_share_a_log_form_and_each_is_counted(stage: Any) -> None:
    stage.record(limit=3)
    answer = PreparedResponse(200, (), b"hello")
    for _ in range(3):
        await stage.exchange().reply(answer)
    bodies = [record["body"] for record in stage.log.records if record["type"] == "response"]
    assert bodies == [{"size": 5, "text": "hel", "truncated": True}] * 3
    pieces = sum(record["type"] == "response-body-data" for record in stage.log.records)
    assert stage.bodies.truncated == 3 + pieces


def test_a_log_without_types_gets_no_record(stage: Any) -> None:
    stage.exchange_log = ExchangeLog(stage.log, frozenset(), stage.bodies)
    stage.exchange("GET /").abort(None)
    assert stage.log.types == []
