"""Events → exchanges: what one row tells."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.exchange_rows import ExchangeAggregator

Record = dict[str, Any]


def fold(records: Sequence[Record], *, batch: int = 100) -> list[Record]:
    folder = ExchangeAggregator()
    maker = TableMaker()
    for start in range(0, len(records), batch):
        folder.add(maker.table(encode_lines(records[start : start + batch])))
    rows = folder.take(last=True).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_an_exchange_is_one_row(recording: Any, batch: int) -> None:
    (row,) = fold(recording.start().exchange("a", statusCode=404).end().records, batch=batch)
    assert (row["id"], row["type"], row["seqFirst"], row["seqLast"]) == ("a", "response", 1, 3)
    assert row["timestamp"] == datetime.datetime(2024, 1, 1, 0, 0, 0, 1, datetime.UTC)
    assert (row["method"], row["url"], row["host"]) == ("POST", "https://example.test/hello?a=b", "example.test")
    assert (row["statusCode"], row["statusMessage"], row["duration"]) == (404, "Created", 3.25)
    assert (row["requestBodySize"], row["responseBodySize"]) == (5, 5)
    assert row["requestHeaders"][0] == {"name": "Host", "value": "example.test"}
    assert row["responseHeaders"][0] == {"name": "Content-Type", "value": "text/plain"}
    assert row["responseContentType"] == "text/plain"
    assert row["tlsSniHostname"] == "example.test"
    assert "bodyText" not in row


def test_rows_come_in_the_order_of_their_ends_and_open_ones_last(recording: Any) -> None:
    recording.start().add("request", "open")
    recording.exchange("a").exchange("b")
    assert [(row["id"], row.get("type")) for row in fold(recording.records)] == [
        ("a", "response"),
        ("b", "response"),
        ("open", None),
    ]


def test_an_abort_tells_why_and_how_far_it_came(recording: Any) -> None:
    recording.start().add("request-initiated", "a")
    recording.add("abort", "a")
    (row,) = fold(recording.records)
    assert (row["type"], row["statusCode"], row["errorCode"]) == ("abort", 400, "ECONNRESET")
    assert (row["requestBodySize"], row["responseBodySize"]) == (5, 5)


def test_a_websocket_counts_its_messages(recording: Any) -> None:
    recording.start()
    for kind in (
        "websocket-request",
        "websocket-accepted",
        "websocket-message-received",
        "websocket-message-sent",
        "websocket-message-sent",
        "websocket-close",
    ):
        recording.add(kind, "a")
    (row,) = fold(recording.records)
    assert (row["messagesReceived"], row["messagesSent"]) == (1, 2)
    assert (row["statusCode"], row["closeCode"], row["closeReason"]) == (101, 1000, "bye")
    assert row["responseBodySize"] == 0


def test_tunnels_and_faults_are_rows(recording: Any) -> None:
    recording.start().add("raw-passthrough-opened", "a")
    recording.add("raw-passthrough-data", "a")
    recording.add("raw-passthrough-closed", "a")
    recording.add("client-error", "b")
    recording.add("tls-client-error", id=None)
    recording.add("gap")
    tunnel, fault, tls = fold(recording.records)
    assert (tunnel["bytesReceived"], tunnel["bytesSent"], tunnel["destinationPort"]) == (10, 20, 443)
    assert (fault["type"], fault["errorCode"], fault["statusCode"]) == ("client-error", "HPE_INVALID_METHOD", 400)
    assert (fault["method"], fault["url"]) == ("POST", "https://example.test/hello?a=b")
    assert (tls["type"], tls["tlsSniHostname"]) == ("tls-client-error", "example.test")


def test_an_interim_response_is_not_the_answer(recording: Any) -> None:
    recording.start().add("request", "a")
    recording.add("response-information", "a")
    (row,) = fold(recording.records)
    assert "statusCode" not in row


def test_what_comes_late_still_counts_while_the_row_is_here(recording: Any) -> None:
    recording.start().exchange("a")
    recording.add("rule-event", "a")
    recording.add("request", "a", body={"size": 77, "text": "x" * 77})
    (row,) = fold(recording.records)
    assert (row["seqLast"], row["requestBodySize"], row["statusCode"]) == (5, 77, 201)


def test_a_row_that_was_taken_is_not_told_again(recording: Any) -> None:
    folder, maker = ExchangeAggregator(), TableMaker()
    folder.add(maker.table(encode_lines(recording.start().exchange("a").records)))
    assert folder.waiting == 1
    assert folder.take().num_rows == 1
    assert folder.waiting == 0
    recording.add("rule-event", "a")
    folder.add(maker.table(encode_lines(recording.records[-1:])))
    assert folder.take(last=True).num_rows == 0


@pytest.mark.parametrize("wrong", [{}, [], 5, None, "text", {"statusCode": "200"}, {"statusCode": 2**40}])
def test_objects_of_any_kind_break_nothing(recording: Any, wrong: Any) -> None:
    recording.add("abort", "a")["response"] = wrong
    (row,) = fold(recording.records)
    assert row["type"] == "abort"
