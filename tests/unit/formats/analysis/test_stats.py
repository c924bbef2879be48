"""Numbers about a session, and what counts as one endpoint."""

from __future__ import annotations

import uuid
from array import array
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mockrec.formats.analysis import stats as stats_module
from mockrec.formats.analysis.session_stats import add_session
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.analysis.stats_groups import percentiles
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.statistics import add_sessions
from mockrec.formats.select.inputs import SelectedLine
from mockrec.formats.select.selection import Selection
from mockrec.formats.sessions.endpoints import template
from mockrec.formats.sessions.outputs import open_sink


def stats_of(path: Path) -> Stats:
    collected = Stats()
    collected.add(Selection([str(path)], None))
    return collected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/users/7", "/users/{id}"),
        ("/users/7/orders/12.5", "/users/{id}/orders/{id}"),
        (f"/u/{uuid.UUID(int=7)}", "/u/{id}"),
        ("/blobs/3f2a1b9c", "/blobs/{id}"),
        ("/o/507f1f77bcf86cd799439011", "/o/{id}"),
        ("/o/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/o/{id}"),
        ("/o/usr_9f8e7d6c5b", "/o/usr_{id}"),
        ("/o/order-1234", "/o/order-{id}"),
        ("/img/991.png", "/img/{id}.png"),
        ("/js/main.3f2a1b9c.js", "/js/main.{id}.js"),
        ("/days/2026-11-18", "/days/{date}"),
        ("/people/ada%40example.com", "/people/{id}"),
        ("/k/redacted-12ab34cd", "/k/redacted-{id}"),
        ("/" + "x" * 400, "/{id}"),
        *[
            (same, same)
            for same in (
                "/v1/users",
                "/api/v2beta1",
                "/page-2",
                "/deadbeef",
                "/facade",
                "/release/1.2.3",
                "/index.html",
                "/@scope/name",
                "/internationalization",
            )
        ],
    ],
)
def test_ids_are_taken_out_of_paths(path: str, expected: str) -> None:
    assert template(path) == expected


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles([]) == {}
    assert percentiles([5.0]) == {"p50": 5.0, "p90": 5.0, "p99": 5.0, "max": 5.0}
    assert percentiles(map(float, range(1, 101))) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    assert percentiles([1.0, 2.0, 3.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}


@pytest.mark.parametrize("count", [1_000, 1_001, 4_999])
def test_percentiles_of_many_values_are_those_of_a_sort(count: int) -> None:
    dice = Random(count)
    values = [dice.choice((dice.random(), 7.0, 1e300, 0.0, -1.5)) for _ in range(count)]
    import pyarrow  # noqa: F401 - loaded, it finds them

    assert percentiles(array("d", values)) == percentiles(values)


def test_everything_is_counted(recording: Any, tmp_path: Path) -> None:
    rules = [{"id": "greet"}, {"id": "other"}]
    recording.start(rules=rules)
    recording.exchange(
        "a", url="http://x.test/users/1", statusCode=200, duration=5.0, body={"size": 10, "text": "x" * 10}
    )
    recording.exchange("b", url="http://x.test/users/2", statusCode=503, duration=15.0, matchedRuleId=None)
    recording.add("request-initiated", "c")
    recording.add("abort", "c", url="http://x.test/other", duration=7.5)
    for kind in ("websocket-request", "websocket-accepted", "websocket-message-sent", "websocket-close"):
        recording.add(kind, "d")
    for kind in ("client-error", "tls-client-error", "raw-passthrough-closed"):
        recording.add(kind, kind)
    found = stats_of(recording.end().write(tmp_path / "s.jsonl"))
    assert found.exchanges == 4
    assert found.statuses == {200: 1, 503: 1, 400: 1, 101: 1}
    users = found.endpoints["POST", "x.test", "/users/{id}"]
    assert (users.count, users.failed, users.statuses, users.bytes) == (2, 1, {"2xx": 1, "5xx": 1}, 15)
    assert found.percentiles(users) == {"p50": 5.0, "p90": 15.0, "p99": 15.0, "max": 15.0}
    assert found.percentiles()["p50"] == 7.5
    assert found.errors == {
        ("abort", "ECONNRESET"): 1,
        ("client-error", "HPE_INVALID_METHOD"): 1,
        ("tls-client-error", "cert-rejected"): 1,
    }
    assert (found.rules, found.without_rule, found.unused_rules) == ({"greet": 3}, 1, ["other"])
    assert found.request_bytes == 15
    assert (found.response_bytes, found.largest, found.tunnel_bytes) == (20, 10, 30)
    assert [exchange["id"] for exchange in found.slowest] == ["b", "c", "a"]
    assert (found.first[-8:], found.last[-8:]) == ("000000Z", "000016Z") or found.first < found.last


@pytest.mark.parametrize("status", ["0", "5"])
def test_the_status_in_trailers_counts_in_every_format(status: str, recording: Any, tmp_path: Path) -> None:
    head = {"rawHeaders": [["content-type", "application/grpc"]], "headers": {"content-type": "application/grpc"}}
    ended = {**head, "rawTrailers": [["grpc-status", status]], "trailers": {"grpc-status": status}}
    recording.start()
    for identity in ("a", "b"):
        call = {"url": "http://x.test/shop.Orders/Get", "method": "POST"}
        recording.add("request", identity, **call, **head)
        recording.add("response", identity, **call, **ended, statusCode=200, duration=1.0)
    path = recording.end().write(tmp_path / "s.jsonl")
    sink = open_sink(str(tmp_path / "s.parquet"))
    sink.write(path.read_bytes())
    sink.close()
    for name in ("s.jsonl", "s.parquet"):
        stats, selection = Stats(), Selection([str(tmp_path / name)], None)
        add_session(stats, selection, None)
        (operation,) = stats.operations.values()
        assert (operation.count, operation.failed) == (2, 0 if status == "0" else 2), name
        several = Stats()
        assert len(list(add_sessions(several, [str(tmp_path / name)] * 2, None, Skipped()))) == 2
        (operation,) = several.operations.values()
        assert (operation.count, operation.failed) == (4, 0 if status == "0" else 4), name


def test_memory_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_module, "MAX_ENDPOINTS", 3)
    monkeypatch.setattr(stats_module, "SLOWEST", 2)
    collected = Stats()
    lines = [
        b'{"type":"response","id":"%d","method":"GET","url":"http://h/%c","statusCode":200,"duration":%d}'
        % (n, 97 + n, n % 7)
        for n in range(10)
    ]
    collected.add(SelectedLine(line, 1, 0) for line in lines)
    assert len(collected.endpoints) == 4
    assert collected.endpoints[stats_module.OTHER].count == 7
    assert [exchange["id"] for exchange in collected.slowest] == ["6", "5"]


def test_values_of_a_wrong_type_are_left_out() -> None:
    collected = Stats()
    lines = [
        b'{"type":"response","statusCode":"200","duration":"long","url":7,"matchedRuleId":null}',
        b'{"type":"response","body":"text"}',
        b'{"type":"abort","error":"reset","response":{"statusCode":null}}',
        b'{"type":"later","id":{}}',
    ]
    collected.add(SelectedLine(line, 1, 0) for line in lines)
    assert collected.records == {"response": 2, "abort": 1, "later": 1}
    assert (collected.exchanges, collected.statuses, collected.errors) == (2, {}, {("abort", "unknown"): 1})
