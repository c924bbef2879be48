"""The exchanges since the last reset."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.engine.ids import new_id
from mockrec.engine.run.control import store as module
from mockrec.engine.run.control.store import ExchangeStore
from mockrec.engine.run.control.views import Views
from mockrec.formats.query import parse


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"seq": 0, **record}).encode() + b"\n" for record in records)


def exchange(identity: str, path: str, **more: Any) -> bytes:
    request = {"type": "request", "id": identity, "method": "GET", "url": f"http://a{path}", **more}
    response = {"type": "response", "id": identity, "statusCode": 200, "url": f"http://a{path}", **more}
    return lines(request, response)


def paths(found: list[list[dict[str, Any]]]) -> list[str]:
    return [records[0]["url"].removeprefix("http://a") for records in found]


def test_it_selects_exchanges_that_have_ended() -> None:
    stored = ExchangeStore(None)
    stored.add(lines({"type": "session-started"}) + exchange(new_id(), "/1") + exchange(new_id(), "/2", scope="s"))
    stored.add(lines({"type": "request", "id": new_id(), "method": "GET", "url": "http://a/open"}))
    assert paths(stored.select(stored.take(), None, None, None)) == ["/1", "/2"]
    assert paths(stored.select(stored.take(), None, "s", None)) == ["/2"]
    assert paths(stored.select(stored.take(), parse("path == /1 and status == 200"), None, None)) == ["/1"]
    assert paths(stored.select(stored.take(), None, None, 1)) == ["/1"]


def test_a_record_in_a_later_batch_belongs_to_its_exchange() -> None:
    stored, first = ExchangeStore(None), new_id()
    request, response = exchange(first, "/1").splitlines(keepends=True)
    stored.add(request)
    assert stored.select(stored.take(), None, None, None) == []
    stored.add(response)
    (records,) = stored.select(stored.take(), None, None, None)
    assert [record["type"] for record in records] == ["request", "response"]


def test_what_began_before_a_reset_stays_out() -> None:
    stored, early = ExchangeStore(None), new_id()
    request, response = exchange(early, "/early").splitlines(keepends=True)
    stored.add(request)
    stored.reset()
    stored.add(response + exchange(new_id(), "/late"))
    assert paths(stored.select(stored.take(), None, None, None)) == ["/late"]


def test_the_oldest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    stored = ExchangeStore(None)
    for number in range(100):
        stored.add(exchange(new_id(), f"/{number}"))
    found = paths(stored.select(stored.take(), None, None, None))
    assert 0 < len(found) < 20
    assert found[-1] == "/99"
    for number in range(100, 200):
        stored.add(exchange(new_id(), f"/{number}"))
        found = paths(stored.select(stored.take(), None, None, None))
    assert found[-1] == "/199"
    assert stored.size <= 2000


def test_messages_of_a_websocket_can_be_counted() -> None:
    stored, one = ExchangeStore(None), new_id()
    message = {"type": "websocket-message-sent", "id": one, "direction": "sent", "content": {"size": 1, "text": "a"}}
    stored.add(
        lines({"type": "websocket-request", "id": one}, message, message, {"type": "websocket-close", "id": one})
    )
    assert len(stored.select(stored.take(), parse("ws.count == 2"), None, None)) == 1
    (records,) = stored.select(stored.take(), None, None, None)
    assert [told["body"] for told in Views(None).exchange(records)["messages"]] == ["a", "a"]


def test_views_of_bodies() -> None:
    views = Views(None)
    binary = {"type": "response", "id": "1", "statusCode": 200, "body": {"size": 2, "base64": "/wA="}}
    assert views.exchange([binary])["response"]["bodyBase64"] == "/wA="
    lost = {"type": "response", "id": "1", "statusCode": 200, "body": {"size": 9, "file": "ab/none"}}
    assert views.exchange([lost])["response"]["bodyTruncated"] is True
    cut = {
        "type": "abort",
        "id": "1",
        "response": {"statusCode": 200, "body": {"size": 1, "text": "a", "incomplete": True}},
    }
    told = views.exchange([cut])
    assert (told["aborted"], told["response"]["body"], told["response"]["bodyTruncated"]) == (True, "a", True)
