"""Entries of exchanges that the integration tests do not cover."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.har.bodies import predicted_body, predicted_request_body
from mockrec.formats.har.delta import pack, unpack
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
def test_an_invalid_address_is_left_out(record_of: RecordOf, address: Any) -> None:
    assert "serverIPAddress" not in passed_on(record_of, {"remoteIpAddress": address})


def test_an_abort_after_a_response_had_begun(record_of: RecordOf) -> None:
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


# ── members that every reader accepts ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        (":status", "200", "_pseudoHeaders"), (":unknown", "x", "_pseudoHeaders"), ("", "x", "_oddHeaders"),
        ("X Y", "x", "_oddHeaders"), ("Space ", "x", "_oddHeaders"), ("X:Y", "x", "_oddHeaders"),
        ("Né", "x", "_oddHeaders"), ("X(Y)", "x", "_oddHeaders"), ("X-Y", "a\nb", "_oddHeaders"),
        ("X-Y", "a\rb", "_oddHeaders"), ("X-Y", "a\0b", "_oddHeaders"), ("X-Y", "日本 \t\x7f", "headers"),
        ("!#$%&'*+-.^_`|~1a", "", "headers"),
    ],
)  # fmt: skip
def test_headers_that_browsers_refuse_are_separate(record_of: RecordOf, name: str, value: str, where: str) -> None:
    """A single one of them makes Playwright's `route_from_har` wait forever."""
    pairs = [["A", "1"], [name, value], ["B", "2"]]
    request, response = ({**record_of(kind, 0), "rawHeaders": pairs} for kind in ("request", "response"))
    entry = make_entry([request, response], "s.bodies")
    for message in (entry["request"], entry["response"]):
        names = [header["name"] for header in message["headers"]]
        assert names == (["A", name, "B"] if where == "headers" else ["A", "B"])
        assert {"name": name, "value": value} in message[where]


@pytest.mark.parametrize(
    "pairs",
    [
        [[":method", "GET"], [":path", "/"], ["a", "1"]], [["a", "1"], [":method", "GET"]], [["X Y", "1"], ["a", "1"]],
        [["a", "1\n2"], [":path", "/"], ["", ""], ["a", "1"]],
    ],
)  # fmt: skip
def test_separate_headers_come_back_in_place(record_of: RecordOf, pairs: list[list[str]]) -> None:
    records = [{**record_of(kind, seq), "rawHeaders": pairs} for seq, kind in enumerate(("request", "response"))]
    entry: Record = {**make_entry(records, "s.bodies"), "_mockrec": {"id": records[0]["id"]}}
    packed = pack(entry, list(enumerate(records)))
    assert [record for _, record in unpack(json.loads(json.dumps(entry)), packed)] == records
    if pairs[0][0] == ":method":
        assert "rawHeaders" not in packed[0].get("set", {}), "HTTP/2's usual order costs nothing"


def sent(record_of: RecordOf, body: Record) -> Record:
    request: Record = make_entry([{**record_of("request", 0), "body": body}], "s.bodies")["request"]
    return request


def test_a_body_that_is_no_text_is_in_content_alone(record_of: RecordOf) -> None:
    """Playwright takes an empty `postData` for a request without a body, and finds nothing for one that has one."""
    request = sent(record_of, {"size": 3, "base64": "AP7/"})
    assert "postData" not in request
    assert request["_content"] == {"size": 3, "text": "AP7/", "encoding": "base64"}
    assert request["bodySize"] == 3


def test_a_body_in_a_file(record_of: RecordOf) -> None:
    name = f"aa/aa{'0' * 62}"
    request = sent(record_of, {"size": 3, "file": name, "sha256": name[3:]})
    assert request["postData"]["_file"] == f"s.bodies/{name}", "Playwright compares with it"
    assert request["_content"]["encoding"] == "base64", "HTTP Toolkit refuses a whole file without it"
    assert predicted_request_body(request) == {"size": 3, "file": name, "sha256": name[3:]}


@pytest.mark.parametrize(
    ("charset", "text", "expected"),
    [
        ("iso-8859-1", "café", b"caf\xe9"), ("Shift_JIS", "日本", "日本".encode("shift_jis")),
        ("utf-16", "é", "é".encode("utf-16")), ("iso-8859-1", "plain", None), ("iso-8859-1", "日本", None),
        ("no-such", "é", None), ("punycode", "é", None), ("rot13", "é", None), ("idna", "é", None), (7, "é", None),
    ],
)  # fmt: skip
def test_a_text_in_another_charset_is_its_bytes(
    record_of: RecordOf, charset: Any, text: str, expected: bytes | None
) -> None:
    """Playwright and mitmproxy send a text as UTF-8, whatever charset its type names."""
    body = {"size": 9, "text": text, "charset": charset}
    record = {**record_of("response", 0), "body": body}
    entry: Record = {**make_entry([record], "s.bodies"), "_mockrec": {"id": record["id"]}}
    content = entry["response"]["content"]
    if expected is None:
        assert (content["text"], content.get("encoding")) == (text, None)
    else:
        assert (base64.b64decode(content["text"]), content["encoding"]) == (expected, "base64")
    packed = pack(entry, [(0, record)])
    assert [one for _, one in unpack(json.loads(json.dumps(entry)), packed)] == [record]
    assert (expected is None) == ("body" in packed[0].get("within", {})), "the text stands in the file once"


@pytest.mark.parametrize(
    ("key", "comment"), [("truncated", "no more of the body"), ("incomplete", "the exchange ended")]
)
def test_a_body_that_is_not_whole_says_so(record_of: RecordOf, key: str, comment: str) -> None:
    record = {**record_of("response", 0), "body": {"size": 3, "text": "abc", key: True}}
    content = make_entry([record], "s.bodies")["response"]["content"]
    assert comment in content["comment"]
    assert "comment" not in make_entry([record_of("response", 0)], "s.bodies")["response"]["content"]


@pytest.mark.parametrize("charset", ["punycode", "hex", "undefined", "\0", ""])
def test_a_file_that_names_any_charset(charset: str) -> None:
    made = {"size": 4, "text": base64.b64encode(b"x" * 100_000).decode(), "encoding": "base64", "_charset": charset}
    assert predicted_body(made)["base64"] == made["text"]


def test_without_a_response_the_body_is_a_missing_file(record_of: RecordOf) -> None:
    abort = {key: value for key, value in record_of("abort", 1).items() if key != "response"}
    response = make_entry([record_of("request", 0), abort], "s.bodies")["response"]
    assert response["status"] == 0
    assert response["content"]["_file"] == "s.bodies/no-answer"


@pytest.mark.parametrize(
    ("timing", "duration", "parts"),
    [
        ({"bodyReceivedTimestamp": 11, "headersSentTimestamp": 14, "responseSentTimestamp": 20}, 10, (1, 3, 6)),
        # The response begins before the request has ended.
        ({"bodyReceivedTimestamp": 18, "headersSentTimestamp": 12, "responseSentTimestamp": 20}, 10, (8, 0, 2)),
        ({"bodyReceivedTimestamp": 25, "headersSentTimestamp": 12, "responseSentTimestamp": 20}, 10, (10, 0, 0)),
        # The request never ends.
        ({"abortedTimestamp": 20}, 10, (10, 0, 0)),
        ({"bodyReceivedTimestamp": 11, "abortedTimestamp": 20}, 10, (1, 9, 0)),
        ({"bodyReceivedTimestamp": 11, "headersSentTimestamp": 12, "abortedTimestamp": 20}, 10, (1, 1, 8)),
        ({}, 10, (0, 0, 10)),
        ({}, None, (0, 0, 0)),
        ({"bodyReceivedTimestamp": 11.00004, "headersSentTimestamp": 14.1, "responseSentTimestamp": 20.3}, 10.3, None),
    ],
)  # fmt: skip
def test_times_add_up(record_of: RecordOf, timing: Record, duration: Any, parts: tuple[float, ...] | None) -> None:
    response = {**record_of("response", 1), "timingEvents": {"startTime": 1e12, "startTimestamp": 10, **timing}}
    response["duration"] = duration
    entry = make_entry([record_of("request", 0), response], "s.bodies")
    times = tuple(entry["timings"][name] for name in ("send", "wait", "receive"))
    assert parts is None or times == parts
    assert sum(times) == pytest.approx(entry["time"], abs=0.0002)
    assert min(times) >= 0
