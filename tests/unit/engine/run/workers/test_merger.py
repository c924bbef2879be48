"""The lines of workers become records of one session."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.run.workers.batches import pack
from mockrec.engine.run.workers.merger import WorkerMerger
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.events import EVENT_TYPES, check_record


class Lines:
    """What a merge hands to the recorder."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []

    def add_lines(self, kinds: list[str], lines: bytes) -> None:
        self.taken += zip(kinds, lines.splitlines(keepends=True), strict=True)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def merge(lines: Lines) -> WorkerMerger:
    return WorkerMerger(lines, EVENT_TYPES)  # type: ignore[arg-type]


def batch(*records: dict[str, Any]) -> bytes:
    return pack(
        [record["type"] for record in records], [record.get("id", "") for record in records], encode_lines(records)
    )


AT = "2026-01-01T00:00:00.000000Z"
ID = "01a2125b-d05d-7970-b982-471391dac485"
OPEN = ID.replace("5", "6")
HEAD = {
    "id": ID,
    "connectionId": "c-1",
    "protocol": "http",
    "httpVersion": "1.1",
    "method": "GET",
    "url": "http://a.test:81/b?c",
    "path": "/b?c",
    "destination": {"hostname": "a.test", "port": 81},
    "headers": {"host": "a.test:81"},
    "rawHeaders": [["Host", "a.test:81"]],
    "remoteIpAddress": "127.0.0.1",
    "remotePort": 1,
    "timingEvents": {"startTime": 1, "startTimestamp": 1.5},
    "tags": [],
}


def opened(kind: str = "request-initiated", **more: Any) -> dict[str, Any]:
    return {"seq": 0, "type": kind, "timestamp": AT, **HEAD, **more}


def ended(identity: str) -> dict[str, Any]:
    return {"seq": 0, "type": "response", "timestamp": AT, "id": identity}


def test_records_become_lines_of_the_session(merge: WorkerMerger, lines: Lines) -> None:
    merge.take(batch(opened(), ended(ID)))
    assert [kind for kind, _ in lines.taken] == ["request-initiated", "response"]
    assert b"".join(line for _, line in lines.taken) == encode_lines([opened(), ended(ID)])
    assert merge.lost(lambda record: None) == 0


def test_what_a_lost_worker_has_open_is_ended(merge: WorkerMerger) -> None:
    merge.take(batch(opened(id=ID), opened(id=OPEN)) + batch(ended(ID)))
    added: list[dict[str, Any]] = []
    assert merge.lost(added.append) == 1
    (abort,) = added
    assert check_record(abort) == []
    assert (abort["type"], abort["id"], abort["host"]) == ("abort", OPEN, "a.test:81")
    assert abort["error"]["code"] == "E_WORKER_LOST"
    assert abort["timingEvents"]["abortedTimestamp"] - 1.5 == pytest.approx(abort["duration"], abs=0.001)
    assert merge.lost(added.append) == 0


def test_what_has_come_of_its_last_batch_is_kept(merge: WorkerMerger, lines: Lines) -> None:
    """Also where an exchange would have ended in what has not come."""
    data = batch(opened(id=ID), opened(id=OPEN), ended(ID), ended(OPEN))
    merge.take(data[:-1])
    added: list[dict[str, Any]] = []
    assert merge.lost(added.append) == 1
    assert added[0]["id"] == OPEN
    assert [kind for kind, _ in lines.taken] == ["request-initiated", "request-initiated", "response"]


def test_a_websocket_and_its_body(merge: WorkerMerger) -> None:
    merge.take(batch(opened("websocket-request", body={"size": 0, "text": ""})))
    added: list[dict[str, Any]] = []
    merge.lost(added.append)
    assert check_record(added[0]) == []
    assert added[0]["type"] == "abort"


def test_a_tunnel_is_closed(merge: WorkerMerger) -> None:
    tunnel = {key: HEAD[key] for key in ("id", "connectionId", "destination", "remoteIpAddress", "remotePort", "tags")}
    timing = {"startTime": 1, "connectTimestamp": 2.0}
    record = {"seq": 0, "type": "raw-passthrough-opened", "timestamp": AT, **tunnel}
    merge.take(batch(record | {"timingEvents": timing}))
    added: list[dict[str, Any]] = []
    merge.lost(added.append)
    assert check_record(added[0]) == []
    assert added[0]["type"] == "raw-passthrough-closed"
    assert added[0]["tags"] == ["raw-passthrough-error:E_WORKER_LOST"]


def test_what_has_no_end_in_the_log_is_not_waited_for(lines: Lines) -> None:
    merge = WorkerMerger(lines, {"request-initiated", "request"})  # type: ignore[arg-type]
    merge.take(batch(opened()))
    assert merge.lost(lambda record: None) == 0


@pytest.mark.parametrize(
    "url", ["http://u:p@a.test:81/b", "http://a.test:81?b", "http://a.test:81#b", "ws://a.test:81"]
)
def test_the_host_of_an_abort(merge: WorkerMerger, url: str) -> None:
    merge.take(batch(opened(url=url)))
    added: list[dict[str, Any]] = []
    merge.lost(added.append)
    assert added[0]["host"] == "a.test:81"


# ── what is left out (`--on-full drop`) ────────────────────────────────────────────────────────────


def gap(**counts: int) -> dict[str, Any]:
    return {"seq": 0, "type": "gap", "timestamp": AT, "counts": counts}


def test_an_end_that_was_left_out_is_no_abort(merge: WorkerMerger) -> None:
    merge.take(batch(opened()))
    merge.left_out({"response": 1}, [ID])
    added: list[dict[str, Any]] = []
    assert merge.lost(added.append) == 0
    assert [(record["type"], record["counts"]) for record in added] == [("gap", {"response": 1})]


def test_nor_where_its_beginning_comes_later(merge: WorkerMerger) -> None:
    merge.left_out({"response": 1}, [ID])
    merge.take(batch(opened()))
    added: list[dict[str, Any]] = []
    assert merge.lost(added.append) == 0
    assert [record["type"] for record in added] == ["gap"]


@pytest.mark.parametrize("first", ["gap", "message"])
def test_what_a_gap_tells_is_not_told_again(merge: WorkerMerger, first: str) -> None:
    told = batch(gap(response=2, request=1))
    if first == "gap":
        merge.take(told)
    merge.left_out({"response": 3, "request": 1}, ())
    if first == "message":
        merge.take(told)
    added: list[dict[str, Any]] = []
    merge.lost(added.append)
    assert [record["counts"] for record in added] == [{"response": 1}]
    again: list[dict[str, Any]] = []
    merge.lost(again.append)
    assert again == []
