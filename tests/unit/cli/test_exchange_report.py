"""One exchange as text: every record, its head, body, timing and whatever else it has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli.exchange_report import story

Record = dict[str, Any]
RecordOf = Callable[[str], Record]

EXCHANGE = "01890a5d-ac96-774b-bcce-b302099a8057"
CONNECTION = "01890a5d-ac00-7000-8000-000000000001"


def told(*records: Record, folder: Path | None = None) -> list[str]:
    """The lines below the title and the records' first lines, without their indent."""
    return [line[4:] for line in story(records, folder) if line.startswith("    ")]


def text_of(body: Record, folder: Path | None = None) -> list[str]:
    return told({"type": "response", "body": body}, folder=folder)


# ── records ────────────────────────────────────────────────────────────────────────────────────────


def test_the_title_and_the_first_line_of_a_record(record_of: RecordOf) -> None:
    lines = list(story([record_of("rule-event")], None))
    assert lines[:3] == [
        f"{EXCHANGE}  on connection {CONNECTION}",
        "",
        "2024-01-01T00:00:00.000000Z  rule-event  (seq 0)",
    ]


def test_a_record_without_an_envelope_is_told_too() -> None:
    assert list(story([{"type": "gap"}], None)) == ["  on connection (none)", "", "  gap  (seq ?)"]


def test_records_follow_one_another_with_a_line_between(recording: Any) -> None:
    recording.exchange()
    lines = list(story(recording.records, None))
    starts = [number for number, line in enumerate(lines) if line.startswith("2024-")]
    assert [lines[number].split("  ")[1] for number in starts] == ["request-initiated", "request", "response"]
    assert all(lines[number - 1] == "" for number in starts)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_request_head(record_of: RecordOf) -> None:
    assert told(record_of("request-initiated")) == [
        "POST https://example.test/hello?a=b HTTP/1.1  (from 127.0.0.1:50000)",
        "Host: example.test",
        "Accept: text/html",
        "accept: */*",
        "scope: tests/test_shop.py::test_pay[eur]",
        "matchedRuleId: greet",
        'continuedRuleIds: ["marked"]',
        "timing: request complete +0.75ms, head sent +1.8ms, response sent +3.2ms, accepted +3.8ms, "
        "closed +4.8ms, aborted +5.8ms",
        'tags: ["slow"]',
        'tlsMetadata: {"sniHostname": "example.test", "clientAlpn": ["h2", "http/1.1"], '
        '"ja3Fingerprint": "e7d705a3286e19ea42f587b344ee6865", '
        '"ja4Fingerprint": "t13d1516h2_8daaf6152771_02713d6af862", '
        '"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256"}',
    ]


@pytest.mark.parametrize("kind", ["request", "abort", "websocket-request"])
def test_a_head_that_was_shown_is_not_shown_again(record_of: RecordOf, kind: str) -> None:
    first = record_of("request-initiated")
    alone, repeated = told(record_of(kind)), told(first, record_of(kind))[len(told(first)) :]
    assert alone[0].startswith("POST https://example.test/hello?a=b")
    assert not any(line.startswith(("POST ", "Host: ", "tlsMetadata: ")) for line in repeated)
    assert [line for line in alone if line.startswith(("body", "request body", "trailers", "timing"))] == [
        line for line in repeated if line.startswith(("body", "request body", "trailers", "timing"))
    ]


def test_a_head_of_which_little_is_known() -> None:
    assert told({"type": "abort", "method": "GET"}) == ["GET ?"]
    assert told({"type": "abort", "rawHeaders": [["A", "b"], "odd"]}) == ["? ?", "A: b", "odd"]
    assert told({"type": "abort", "method": "GET", "path": "/x", "remoteIpAddress": "::1"}) == ["GET /x  (from ::1:?)"]


def test_only_a_head_with_its_headers_counts_as_shown(record_of: RecordOf) -> None:
    """The start of a message has the request's method, or the response has headers: neither shows the head."""
    request = record_of("request")
    for before in (record_of("websocket-close"), record_of("response"), record_of("rule-event")):
        assert "Host: example.test" in told(before, request)


def test_a_response(record_of: RecordOf) -> None:
    lines = told(record_of("response"))
    assert lines[:4] == ["201 Created", "Content-Type: text/plain", "Set-Cookie: a=1", "Set-Cookie: b=2"]
    assert "duration: 3.2ms" in lines
    assert "matchedRuleId: greet" in lines
    assert lines[lines.index("body: 5 B") + 1] == "  hello"
    assert 'rawTrailers: [["X-Sum", "1"]]' in lines
    assert not any(line.startswith(("method", "url", "host", "tags")) for line in lines)


def test_a_response_without_a_reason() -> None:
    assert told({"type": "response", "statusCode": 200, "statusMessage": "", "rawHeaders": []}) == ["200"]


def test_an_abort(record_of: RecordOf) -> None:
    lines = told(record_of("abort"))
    assert (
        'error: {"name": "ConnectionResetError", "code": "ECONNRESET", "message": "gone", '
        '"stack": "at line 1\\nat line 2"}' in lines
    )
    assert lines[lines.index("request body: 5 B") + 1] == "  hello"
    response = lines.index("response:")
    assert lines[response + 1 : response + 5] == [
        "    400 Bad Request",
        "    Connection: close",
        "    body: 5 B",
        "      hello",
    ]


def test_a_client_error(record_of: RecordOf) -> None:
    lines = told(record_of("client-error"))
    assert "exchangeId: 01890a5d-ffff-7000-8000-000000000000" in lines
    assert "errorCode: HPE_INVALID_METHOD" in lines
    assert "aborted: true" in lines
    request = lines.index("request:")
    assert lines[request + 1] == "    POST https://example.test/hello?a=b HTTP/1.1  (from 127.0.0.1:50000)"
    assert lines[lines.index("    bytes received: 5 B") + 1] == "      hello"


def test_a_message(record_of: RecordOf) -> None:
    lines = told(record_of("websocket-message-received"))
    assert lines[:5] == [
        "scope: tests/test_shop.py::test_pay[eur]",
        "direction: received",
        "content: 5 B",
        "  hello",
        "isBinary: false",
    ]
    assert not any("streamId" in line for line in lines)


def test_a_rule_event(record_of: RecordOf) -> None:
    assert told(record_of("rule-event")) == [
        "scope: tests/test_shop.py::test_pay[eur]",
        "ruleId: greet",
        "eventType: note",
        'eventData: {"nothing": null, "empty": {}}',
    ]


def test_a_tunnel_counts_from_its_connection(record_of: RecordOf) -> None:
    assert "timing: connected +0.00ms, tunnel ready +0.75ms, handshake done +1.8ms, disconnected +250ms" in told(
        record_of("raw-passthrough-closed")
    )


@pytest.mark.parametrize(
    ("timing", "line"),
    [
        ({"startTime": 1, "startTimestamp": 2}, "timing: started"),
        ({"startTime": 1}, 'timing: {"startTime": 1}'),
        ({"startTimestamp": "x"}, 'timing: {"startTimestamp": "x"}'),
        ({"startTimestamp": 0, "abortedTimestamp": "x", "wsClosedTimestamp": 1}, "timing: closed +1.0ms"),
    ],
)
def test_timing_as_far_as_it_goes(timing: Record, line: str) -> None:
    assert told({"type": "abort", "timingEvents": timing}) == [line]


def test_unknown_keys_are_shown() -> None:
    assert told({"type": "later", "more": {"a": [1]}, "text": "x"}) == ['more: {"a": [1]}', "text: x"]


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def test_text_is_shown_in_lines() -> None:
    lines = list(story([{"type": "response", "body": {"size": 11, "text": "one\n\ntwo\t3\r\n"}}], None))
    assert lines[3:] == ["    body: 11 B", "      one", "", "      two\t3"]


def test_an_empty_body() -> None:
    assert text_of({"size": 0, "text": ""}) == ["body: 0 B"]


def test_bytes_are_shown_in_hexadecimal() -> None:
    assert text_of({"size": 18, "base64": "AAECAwQFBgcICQoLDA0ODxBB"}) == [
        "body: 18 B",
        "  00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................",
        "  00000010  10 41                                            .A",
    ]


def test_only_printable_ascii_is_shown_beside_the_hexadecimal() -> None:
    data = base64.b64encode(b"\xff\x1f\x20\x21\x7e\x7f\x80").decode()
    assert text_of({"size": 7, "base64": data})[1] == (
        "  00000000  ff 1f 20 21 7e 7f 80                             .. !~.."
    )


def test_only_the_beginning_of_many_bytes_is_shown() -> None:
    lines = text_of({"size": 1280, "base64": base64.b64encode(b"\xff" * 1280).decode()})
    assert len(lines) == 1 + 16 + 1
    assert lines[-1] == "  … 1.0 KiB more (--as json has them all)"


def test_what_is_special_about_a_body() -> None:
    body = {
        "size": 5,
        "text": "he",
        "contentEncoding": "gzip",
        "encodedSize": 2048,
        "truncated": True,
        "redacted": True,
    }
    assert text_of(body)[0] == "body: 5 B (truncated, redacted, was gzip, 2.0 KiB)"


def test_a_coding_without_a_size_on_the_wire() -> None:
    assert text_of({"size": 5, "text": "hello", "contentEncoding": "br"})[0] == "body: 5 B (was br, 0 B)"


def test_a_body_beside_the_log(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    folder = tmp_path / digest[:2]
    folder.mkdir()
    (folder / digest).write_bytes(b"hello")
    body = {"size": 5, "file": f"{digest[:2]}/{digest}", "sha256": digest}
    assert text_of(body, tmp_path) == ["body: 5 B", "  hello"]


@pytest.mark.parametrize(
    "body",
    [
        {"size": 5, "file": "../../etc/passwd"},
        {"size": 5, "file": "2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
        {"size": 5, "base64": "?"},
        {"size": None, "text": "x"},
        {"size": 1, "text": 5},
        {"size": 1, "base64": 5},
        {"text": "no size"},
    ],
)
def test_a_body_that_cannot_be_shown_hides_nothing_else(body: Record) -> None:
    lines = told({"type": "response", "body": body, "after": 1})
    assert any(line.startswith("body: cannot be shown: ") for line in lines)
    assert lines[-1] == "after: 1"


# ── what came from the wire ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "record",
    [
        {"type": "\x1b"},
        {"type": "x", "id": "\x1b", "connectionId": "\x1b", "timestamp": "\x1b"},
        {"type": "x", "method": "\x1b", "url": "\x1b", "httpVersion": "\x1b", "remoteIpAddress": "\x1b"},
        {"type": "x", "rawHeaders": [["\x1b", "\x1b"], "\x1b"]},
        {"type": "x", "statusCode": "\x1b", "statusMessage": "\x1b"},
        {"type": "x", "body": {"size": 1, "text": "\x1b"}},
        {"type": "x", "body": {"size": 1, "text": "a", "contentEncoding": "\x1b"}},
        {"type": "x", "body": {"size": 1, "file": "\x1b"}},
        {"type": "x", "\x1b": 1, "a": "\x1b", "b": ["\x1b"]},
        {"type": "x", "timingEvents": {"\x1b": "\x1b"}},
        {"type": "x", "seq": "\x1b"},
        {"type": "x", "duration": "\x1b"},
    ],
)
def test_control_characters_never_reach_the_terminal(record: Record) -> None:
    text = "\n".join(story([record], None))
    assert "\x1b" not in text
    assert r"\x1b" in text or r"\u001b" in text
