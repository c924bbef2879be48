"""Entries of exchanges that are not as the integration tests have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.har.entry import make_entry, tls_error

Record = dict[str, Any]
RecordOf = Callable[..., Record]


def passed_on(record_of: RecordOf, data: Record) -> Record:
    event = {**record_of("rule-event", 1), "eventType": "passthrough-response-head", "eventData": data}
    return make_entry([record_of("request", 0), event, record_of("response", 2)], "s.bodies")


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_server_that_a_request_was_passed_on_to(record_of: RecordOf, address: str) -> None:
    entry = passed_on(record_of, {"remoteIpAddress": address, "timings": {"dns": 1.5, "firstByte": 7}})
    assert entry["serverIPAddress"] == address
    assert entry["_upstreamTimings"] == {"dns": 1.5, "firstByte": 7}
    assert entry["timings"]["dns"] == -1, "that is the client's"


@pytest.mark.parametrize("address", ["", "fe80::1%eth0", "192.0.2.1:80", None, 7])
def test_what_is_no_address_is_left_out(record_of: RecordOf, address: Any) -> None:
    assert "serverIPAddress" not in passed_on(record_of, {"remoteIpAddress": address})


def test_an_abort_after_an_answer_had_begun(record_of: RecordOf) -> None:
    entry = make_entry([record_of("request-initiated", 0), record_of("abort", 1)], "s.bodies")
    assert (entry["response"]["status"], entry["response"]["_error"]) == (400, "ECONNRESET")
    assert entry["request"]["postData"]["text"] == "hello"
    assert entry["_error"]["message"] == "gone"


@pytest.mark.parametrize("kind", ["response", "websocket-close", "rule-event", "response-initiated"])
def test_any_record_alone_gives_an_entry(
    record_of: RecordOf, kind: str, har_problems: Callable[..., list[str]]
) -> None:
    entry = make_entry([record_of(kind, 0)], "s.bodies")
    log = {"version": "1.2", "creator": {"name": "a", "version": "1"}, "entries": [entry]}
    assert har_problems({"log": log}) == []


def test_a_failed_handshake_as_http_toolkit_has_it(record_of: RecordOf) -> None:
    assert tls_error(record_of("tls-client-error", 0)) == {
        "startedDateTime": "2023-11-14T22:13:20.000Z",
        "time": 2.25,
        "hostname": "example.test",
        "cause": "cert-rejected",
        "tags": [],
        "clientIPAddress": "127.0.0.1",
        "clientPort": 50000,
    }
