"""What a session holds that cannot be sent, before anything is."""

from __future__ import annotations

from typing import Any

from mockrec.engine.replay.send.survey import ClientAbort, survey
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.requests import recorded_requests

MARK = "redacted-0123abcd"
HERE = {"shop.test": ("http", "127.0.0.1", 1)}


def nothing(draft: EditableRequest) -> None:
    pass


def looked(recorded: Any, targets: Any, fill: Any = nothing, fill_message: Any = lambda data: data) -> Any:
    return survey(recorded_requests(recorded.records), targets(HERE), fill, fill_message, None)


def test_counts_and_reasons(recorded: Any, targets: Any) -> None:
    for number, fields in enumerate(
        [
            {},
            {"url": "http://cdn.test/x"},
            {"rawHeaders": [["Authorization", MARK]]},
            {"body": {"size": 9, "text": "", "truncated": True}},
            {"body": {"size": 9, "file": "no"}},
        ]
    ):
        recorded.add("request", str(number), **{**recorded.request(**fields), "id": str(number)})
    recorded.add("abort", "9", requestBody={"size": 0, "text": ""})
    found = looked(recorded, targets)
    assert (found.requests, found.to_send, found.skipped) == (6, 1, 5)
    assert found.unmapped == {"cdn.test": 1}
    assert found.marked == {"GET /a: header:authorization": 1}
    assert found.unusable.total() == 3


def test_who_has_left_is_known(recorded: Any, targets: Any) -> None:
    recorded.add("abort", "a", duration=1500.0)
    recorded.add("abort", "b", duration=10.0, response={"statusCode": 200, "body": {"size": 7, "encodedSize": 5}})
    recorded.add("abort", "c", error={"code": "E_RULE_RESET"})
    assert looked(recorded, targets).left == {"a": ClientAbort(None, 1.5), "b": ClientAbort(5, 0.01)}


def test_marks_in_messages_keep_a_websocket_back(recorded: Any, targets: Any) -> None:
    record = {**recorded.request(url="ws://shop.test/"), "type": "websocket-request"}
    recorded.add("websocket-request", "w", **{**record, "id": "w"})
    for _ in range(2):
        recorded.add("websocket-message-received", "w", content={"size": 17, "text": MARK})
    found = looked(recorded, targets)
    assert (found.to_send, found.silenced) == (0, {"w"})
    assert looked(recorded, targets, fill_message=lambda data: b"me").silenced == set()
