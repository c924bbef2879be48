"""One row for each exchange, tunnel and fault: what it says, and in which order rows come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.sessions.rows import Row, place, rows_of

Record = dict[str, Any]
RecordOf = Callable[[str], Record]

EXCHANGE = "01890a5d-ac96-774b-bcce-b302099a8057"
URL = "https://example.test/hello?a=b"


def rows(*records: Record) -> list[Row]:
    return list(rows_of(enumerate(records, 1)))


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("response", Row("response", EXCHANGE, 201, "POST", URL, 3.25, "greet")),
        ("abort", Row("abort", EXCHANGE, 400, "POST", URL, 3.25, "greet", "ECONNRESET: gone")),
        ("websocket-close", Row("websocket-close", EXCHANGE, 101, "POST", URL, 3.25, "greet", "closed 1000 bye")),
        ("client-error", Row("client-error", EXCHANGE, 400, "POST", URL, note="HPE_INVALID_METHOD")),
        (
            "tls-client-error",
            Row("tls-client-error", EXCHANGE, url="example.test", note="TLS handshake: cert-rejected"),
        ),
        (
            "tls-passthrough-closed",
            Row(
                "tls-passthrough-closed",
                EXCHANGE,
                url="example.test:443",
                duration=250.0,
                note="tunnel, 10 bytes in, 20 bytes out",
            ),
        ),
        (
            "raw-passthrough-closed",
            Row(
                "raw-passthrough-closed",
                EXCHANGE,
                url="example.test:443",
                duration=250.0,
                note="tunnel, 10 bytes in, 20 bytes out",
            ),
        ),
        ("gap", Row("gap", "", note="3 records were left out here: the disk was too slow")),
        ("callback-error", Row("callback-error", EXCHANGE, note="callback: ECONNRESET: gone")),
        ("request-initiated", Row("open", EXCHANGE, None, "POST", URL, None, "greet", "has no end")),
        ("websocket-request", Row("open", EXCHANGE, None, "POST", URL, None, "greet", "has no end")),
        ("tls-passthrough-opened", Row("open", EXCHANGE, url="example.test:443", note="has no end")),
        ("raw-passthrough-opened", Row("open", EXCHANGE, url="example.test:443", note="has no end")),
    ],
)
def test_what_a_row_says(record_of: RecordOf, kind: str, row: Row) -> None:
    assert rows(record_of(kind)) == [row]


@pytest.mark.parametrize(
    "kind",
    [
        "session-started",
        "request",
        "request-body-data",
        "response-initiated",
        "response-information",
        "response-body-data",
        "websocket-accepted",
        "websocket-message-received",
        "websocket-message-sent",
        "raw-passthrough-data",
        "rule-event",
        "rules-reloaded",
        "session-ended",
    ],
)
def test_what_gives_no_row(record_of: RecordOf, kind: str) -> None:
    assert rows(record_of(kind)) == []


def test_rows_come_in_the_order_of_the_ends_and_the_open_ones_last(recording: Any) -> None:
    for identity in ("a", "b", "c", "d"):
        recording.add("request-initiated", identity)
    for identity in ("c", "a"):
        recording.add("response", identity)
    assert [(row.id, row.kind) for row in rows(*recording.records)] == [
        ("c", "response"),
        ("a", "response"),
        ("b", "open"),
        ("d", "open"),
    ]


def test_a_row_comes_as_soon_as_its_end_is_read(recording: Any) -> None:
    recording.exchange("a").exchange("b")
    read = 0

    def counted() -> Any:
        nonlocal read
        for item in enumerate(recording.records, 1):
            read += 1
            yield item

    assert next(rows_of(counted())).id == "a"
    assert read == 3


def test_an_upgrade_is_one_exchange(recording: Any) -> None:
    for kind in ("request-initiated", "websocket-request", "websocket-accepted", "websocket-close"):
        recording.add(kind, "a")
    assert [row.kind for row in rows(*recording.records)] == ["websocket-close"]


def test_a_fault_with_an_id_of_its_own_ends_no_exchange(recording: Any) -> None:
    recording.add("request-initiated", "a")
    recording.add("client-error", "b", exchangeId="a")
    assert [(row.kind, row.id) for row in rows(*recording.records)] == [("client-error", "b"), ("open", "a")]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        ({"name": "Oops", "message": "m"}, "Oops: m"),
        ({"code": "E", "name": "Oops"}, "E"),
        ({"message": "m"}, "m"),
        ({}, "aborted"),
        (None, "aborted"),
        ("broken", "aborted"),
    ],
)
def test_why_an_exchange_was_aborted(record_of: RecordOf, error: Any, note: str) -> None:
    (row,) = rows({**record_of("abort"), "error": error})
    assert row.note == note


def test_an_abort_before_a_response_has_no_status(record_of: RecordOf) -> None:
    record = record_of("abort")
    del record["response"]
    (row,) = rows(record)
    assert row.status is None


def test_a_close_without_a_code(record_of: RecordOf) -> None:
    record = {**record_of("websocket-close"), "closeReason": ""}
    del record["closeCode"]
    (row,) = rows(record)
    assert row.note == "closed"


def test_a_client_error_without_words(record_of: RecordOf) -> None:
    (row,) = rows({"type": "client-error"})
    assert row.note == "client error"


def test_numbers_that_are_not_there_are_none() -> None:
    (gap,) = rows({"type": "gap", "counts": {"response": None, "request": 2}})
    (tunnel,) = rows({"type": "tls-passthrough-closed"})
    assert gap.note.startswith("2 records ")
    assert tunnel.note == "tunnel, 0 bytes in, 0 bytes out"


def test_a_tls_error_without_a_name_shows_where_it_went(record_of: RecordOf) -> None:
    record = record_of("tls-client-error")
    del record["tlsMetadata"]
    (row,) = rows(record)
    assert row.url == "example.test:443"


def test_a_tunnel_that_was_never_connected_has_no_duration(record_of: RecordOf) -> None:
    record = record_of("raw-passthrough-closed")
    del record["timingEvents"]["disconnectTimestamp"]
    (row,) = rows(record)
    assert row.duration is None


@pytest.mark.parametrize(
    ("destination", "shown"),
    [
        ({"hostname": "h", "port": 1}, "h:1"),
        ({"hostname": "h"}, "h"),
        ({"port": 1}, "1"),
        ({}, ""),
        (None, ""),
        ("h", ""),
    ],
)
def test_places(destination: Any, shown: str) -> None:
    assert place(destination) == shown


@pytest.mark.parametrize("nonsense", [None, 5, "text", [], [1], {}, {"a": None}, True])
def test_a_value_of_the_wrong_type_is_no_reason_to_fail(any_record: Record, nonsense: Any) -> None:
    for key in [key for key in any_record if key != "type"]:
        for row in rows({**any_record, key: nonsense}):
            assert isinstance(row.id, str)
            assert isinstance(row.url, str)
            assert row.status is None or type(row.status) is int
            assert row.duration is None or type(row.duration) in (int, float)


def test_a_row_names_its_operation_or_says_why_it_has_none(record_of: Callable[[str], dict[str, Any]]) -> None:
    def rows_with(body: str) -> Row:
        request = {
            **record_of("request"),
            "url": "https://example.test/graphql",
            "headers": {"content-type": "application/json"},
            "body": {"size": len(body), "text": body},
        }
        (row,) = rows_of(enumerate([request, record_of("response")], 1))
        return row

    assert rows_with('{"query": "query Cart { cart }"}').operation == "query Cart"
    malformed = rows_with('{"query": "query Cart { cart"}')
    assert (malformed.operation, malformed.note) == ("", "the GraphQL document ends inside a definition")


@pytest.mark.parametrize(
    ("path", "request_type", "response", "note"),
    [
        (
            "/graphql",
            "application/json",
            {"text": '{"data": null, "errors": [{"message": "no"}]}'},
            "GraphQL error: no",
        ),
        ("/graphql", "application/json", {"text": '{"data": {"errors": []}}'}, ""),
        ("/a.B/C", "application/grpc", {"trailers": {"grpc-status": "5", "grpc-message": "gone"}}, "NOT_FOUND: gone"),
        ("/a.B/C", "application/grpc", {"trailers": {"grpc-status": "0"}}, ""),
        ("/a.B/C", "application/grpc", {"trailers": {"grpc-status": "13"}}, "INTERNAL"),
        ("/a.B/C", "application/grpc", {"text": "\0\0\0\0\x09a"}, "frame 1 is cut: 1 of 9 bytes"),
        (
            "/rpc",
            "application/json",
            {"text": '{"jsonrpc": "2.0", "error": {"code": -32601}}'},
            "JSON-RPC error -32601",
        ),
    ],
)
def test_a_row_says_how_a_call_failed(
    record_of: Callable[[str], dict[str, Any]], path: str, request_type: str, response: dict[str, Any], note: str
) -> None:
    body = '{"jsonrpc": "2.0", "method": "a"}' if path == "/rpc" else '{"query": "{a}"}'
    request = {
        **record_of("request"),
        "url": f"https://example.test{path}",
        "headers": {"content-type": request_type},
        "body": {"size": len(body), "text": body if request_type == "application/json" else ""},
    }
    answer = {
        **record_of("response"),
        "headers": {"content-type": request_type},
        "trailers": response.get("trailers", {}),
        "body": {"size": 1, "text": response.get("text", "")},
    }
    (row,) = rows_of(enumerate([request, answer], 1))
    assert row.note == note
