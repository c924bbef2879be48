"""Each guarantee of the log: kept, there is no finding; violated, there is one at its line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.analysis import verify as audit_module
from mockrec.formats.analysis.verify import Audit
from mockrec.formats.schema.events import EVENT_TYPES

ONE = "11111111-0000-7000-8000-000000000000"
TWO = "22222222-0000-7000-8000-000000000000"
OTHER_CONNECTION = "99999999-0000-7000-8000-000000000000"


@pytest.fixture
def audited(recording: Any) -> Callable[..., Audit]:
    """Audits the records of the recording, as `verify` does."""

    def audit_them(bodies_folder: Path | None = None) -> Audit:
        first = recording.records[0] if recording.records else {}
        header = first if first.get("type") == "session-started" else None
        audit = Audit(header, bodies_folder)
        for number, record in enumerate(recording.records, 1):
            audit.check(number, record)
        audit.finish()
        return audit

    return audit_them


@pytest.fixture
def findings(audited: Callable[..., Audit]) -> Callable[..., list[str]]:
    return lambda bodies_folder=None: audited(bodies_folder).findings


Findings = Callable[..., list[str]]


def but(*kinds: str) -> list[str]:
    """All types except these, as the header names what is recorded."""
    return [kind for kind in EVENT_TYPES if kind not in kinds]


# ── sessions as they should be ─────────────────────────────────────────────────────────────────────


def test_a_good_session(recording: Any, audited: Callable[..., Audit]) -> None:
    recording.start().exchange(ONE).exchange(TWO).end()
    audit = audited()
    assert audit.findings == []
    assert audit.finding_count == 0
    assert audit.exchange_count == 2
    assert audit.open_ids == []
    assert audit.last == recording.records[-1]
    assert audit.counts["response"] == 2


def test_every_kind_of_story(recording: Any, findings: Findings) -> None:
    recording.start()
    for kind in ("request-initiated", "request-body-data", "response-information", "response-initiated"):
        recording.add(kind, "a")
    for kind in ("response-body-data", "response", "request-body-data", "request", "rule-event"):
        recording.add(kind, "a")
    for kind in ("request-initiated", "rule-event", "abort", "rule-event"):
        recording.add(kind, "b")
    for kind in ("request-initiated", "websocket-request", "websocket-accepted", "websocket-message-received"):
        recording.add(kind, "c")
    for kind in ("websocket-message-sent", "websocket-close"):
        recording.add(kind, "c")
    for kind in ("websocket-request", "response"):  # refused
        recording.add(kind, "d")
    for kind in ("websocket-request", "websocket-accepted", "abort"):  # no close frame came
        recording.add(kind, "e")
    for kind in ("raw-passthrough-opened", "raw-passthrough-data", "raw-passthrough-closed"):
        recording.add(kind, "f")
    for kind in ("tls-passthrough-opened", "tls-passthrough-closed"):
        recording.add(kind, "g")
    for kind in ("tls-client-error", "client-error", "callback-error", "rules-reloaded"):
        recording.add(kind)
    recording.end()
    assert findings() == []


def test_an_empty_session_has_no_findings(findings: Findings) -> None:
    assert findings() == []


def test_what_a_cut_off_session_lacks_is_no_finding(recording: Any, audited: Callable[..., Audit]) -> None:
    recording.start()
    recording.add("request-initiated", ONE)
    audit = audited()
    assert audit.findings == []
    assert audit.open_ids == [ONE]


def test_a_repaired_session_may_have_open_exchanges(recording: Any, findings: Findings) -> None:
    recording.start()
    recording.add("request-initiated", ONE)
    recording.end(reason="repaired")
    assert findings() == []


# ── the session as a whole ─────────────────────────────────────────────────────────────────────────


def test_the_first_record_is_session_started(recording: Any, findings: Findings) -> None:
    recording.exchange(ONE)
    assert findings() == ["line 1: the first record is request-initiated, not session-started"]


def test_a_session_starts_once(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE)
    recording.start()
    assert findings() == ["line 5: session-started again"]


def test_a_merge_and_a_further_part_start_again(recording: Any, findings: Findings) -> None:
    recording.start(derived={"from": "a.jsonl"})
    recording.start()
    assert findings() == []
    recording.records.clear()
    recording.start().start(part=2)
    assert findings() == []


def test_nothing_follows_session_ended(recording: Any, findings: Findings) -> None:
    recording.start().end()
    recording.add("rules-reloaded")
    recording.records[1]["counts"]["rules-reloaded"] = 1
    assert findings() == ["line 3: rules-reloaded after session-ended"]


def test_what_a_record_lacks_is_told(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE, statusCode="200").end()
    assert findings() == ["line 4: response: statusCode: expected an integer, found '200'"]


def test_later_types_and_keys_are_skipped(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE)
    stamp = recording.records[-1]["timestamp"]
    recording.records.append({"seq": 4, "type": "later", "timestamp": stamp, "id": ONE, "connectionId": [5]})
    recording.records.append({"seq": 5, "type": "later", "timestamp": stamp, "id": TWO})
    recording.end(later=5)
    assert findings() == []


def test_later_types_have_the_envelope_too(recording: Any, findings: Findings) -> None:
    recording.start()
    recording.records.append({"seq": 1, "type": "later", "timestamp": "now"})
    recording.end()
    assert findings() == [
        "line 2: later: timestamp: 'now' is not ISO 8601 in UTC with six fraction digits",
    ]


# ── seq and time ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seq", "finding"),
    [(7, "line 3: seq 7 after 1: 5 missing"), (1, "line 3: seq 1 after 1"), (0, "line 3: seq 0 after 1")],
)
def test_seq_has_no_hole_and_never_runs_back(recording: Any, findings: Findings, seq: int, finding: str) -> None:
    recording.start()
    recording.add("rules-reloaded")
    recording.add("rules-reloaded", seq=seq)
    recording.end(seq=seq + 1)
    assert findings() == [finding]


def test_seq_begins_with_0(recording: Any, findings: Findings) -> None:
    recording.start(seq=1)
    recording.end(seq=2)
    assert findings() == ["line 1: seq 1 after -1: 1 missing"]


def test_a_later_part_goes_on_with_any_seq_but_has_no_hole(recording: Any, findings: Findings) -> None:
    recording.start(part=2, seq=1000)
    recording.add("rules-reloaded", seq=1001)
    recording.end(seq=1003)
    assert findings() == ["line 3: seq 1003 after 1001: 1 missing"]


def test_a_derived_session_has_holes_but_keeps_the_order(recording: Any, findings: Findings) -> None:
    recording.start(derived={"from": "a.jsonl"})
    recording.add("rules-reloaded", seq=7)
    recording.add("rules-reloaded", seq=6)
    assert findings() == ["line 3: seq 6 after 7"]


def test_a_seq_that_is_no_number_is_told_once(recording: Any, findings: Findings) -> None:
    recording.start()
    recording.add("rules-reloaded", seq="1")
    assert findings() == ["line 2: rules-reloaded: seq: expected an integer, found '1'"]


def test_time_never_runs_backwards_within_a_connection(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE)
    before, record = recording.records[-2:]
    before["timestamp"], record["timestamp"] = record["timestamp"], before["timestamp"]
    recording.end()
    assert findings() == [
        f"line 4: timestamp {record['timestamp']} after {before['timestamp']} on connection {record['connectionId']}"
    ]


def test_time_may_differ_across_connections(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE)
    for record in recording.exchange(TWO).records[-3:]:
        record["timestamp"] = recording.records[1]["timestamp"]
        record["connectionId"] = OTHER_CONNECTION
    recording.end()
    assert findings() == []


# ── how a story begins ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["request", "response", "abort", "rule-event", "response-body-data"])
def test_an_exchange_begins_with_its_head(recording: Any, findings: Findings, kind: str) -> None:
    recording.start()
    recording.add(kind, ONE)
    assert findings() == [f"line 2: {kind} is the first record of {ONE}, not request-initiated"]


@pytest.mark.parametrize("kind", ["raw-passthrough-data", "raw-passthrough-closed", "tls-passthrough-closed"])
def test_a_tunnel_begins_with_its_opening(recording: Any, findings: Findings, kind: str) -> None:
    recording.start()
    recording.add(kind, ONE)
    opener = kind.replace("data", "opened").replace("closed", "opened")
    assert findings() == [f"line 2: {kind} is the first record of {ONE}, not {opener}"]


def test_what_is_not_recorded_is_not_missed_at_the_beginning(recording: Any, findings: Findings) -> None:
    recording.start(events=but("request-initiated", "raw-passthrough-opened", "websocket-accepted"))
    recording.add("response", ONE)
    recording.add("raw-passthrough-closed", TWO)
    recording.add("websocket-request", "c")
    recording.add("websocket-close", "c")
    recording.end()
    assert findings() == []


def test_without_a_list_the_default_types_are_recorded(recording: Any, findings: Findings) -> None:
    recording.start(events=None)
    recording.add("response", ONE)
    assert len(findings()) == 1


def test_a_later_part_goes_on_with_what_was_open(recording: Any, findings: Findings) -> None:
    recording.start(part=2)
    recording.add("response", ONE)
    recording.add("raw-passthrough-closed", TWO)
    recording.add("websocket-close", "c")
    recording.end(counts={"response": 900})
    assert findings() == []


@pytest.mark.parametrize("kind", ["request-initiated", "websocket-request"])
def test_an_exchange_begins_once(recording: Any, findings: Findings, kind: str) -> None:
    recording.start()
    recording.add("websocket-request", ONE)
    recording.add(kind, ONE)
    assert findings() == [f"line 3: {kind} again for {ONE}"]


# ── WebSockets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["websocket-message-received", "websocket-message-sent", "websocket-close"])
def test_a_websocket_is_accepted_before_it_is_used(recording: Any, findings: Findings, kind: str) -> None:
    recording.start()
    recording.add("websocket-request", ONE)
    recording.add(kind, ONE)
    assert findings() == [f"line 3: {kind} of {ONE}, which was not accepted"]


def test_an_accepted_websocket_has_no_response(recording: Any, findings: Findings) -> None:
    recording.start()
    for kind in ("websocket-request", "websocket-accepted", "response"):
        recording.add(kind, ONE)
    assert findings() == [f"line 4: response of {ONE}, which was accepted as a WebSocket"]


# ── how a story ends ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "finding"),
    [
        ("request-initiated", f"{ONE} (request-initiated) has no end"),
        ("websocket-request", f"{ONE} (websocket-request) has no end"),
        ("raw-passthrough-opened", f"{ONE} (raw-passthrough-opened) has no end"),
        ("tls-passthrough-opened", f"{ONE} (tls-passthrough-opened) has no end"),
    ],
)
def test_everything_has_an_end(recording: Any, findings: Findings, first: str, finding: str) -> None:
    recording.start()
    recording.add(first, ONE)
    recording.end()
    assert findings() == [finding]


@pytest.mark.parametrize(
    ("first", "ends"),
    [
        ("request-initiated", ["response"]),
        ("websocket-request", ["websocket-close"]),
        ("raw-passthrough-opened", ["raw-passthrough-closed"]),
        ("tls-passthrough-opened", ["tls-passthrough-closed"]),
    ],
)
def test_an_end_that_is_not_recorded_is_not_missed(
    recording: Any, findings: Findings, first: str, ends: list[str]
) -> None:
    recording.start(events=but(*ends))
    recording.add(first, ONE)
    recording.end()
    assert findings() == []


def test_data_of_a_tunnel_whose_opening_is_not_recorded(recording: Any, findings: Findings) -> None:
    recording.start(events=but("raw-passthrough-opened"))
    recording.add("raw-passthrough-data", ONE)
    recording.end()
    assert findings() == [f"{ONE} (raw-passthrough-data) has no end"]


@pytest.mark.parametrize("first", ["response", "abort"])
@pytest.mark.parametrize("second", ["response", "abort"])
def test_an_exchange_ends_once(recording: Any, findings: Findings, first: str, second: str) -> None:
    recording.start()
    for kind in ("request-initiated", first, second):
        recording.add(kind, ONE)
    assert findings() == [f"line 4: {second}: {ONE} has ended before, with {first}"]


@pytest.mark.parametrize("protocol", ["raw", "tls"])
def test_a_tunnel_is_closed_once(recording: Any, findings: Findings, protocol: str) -> None:
    recording.start()
    for kind in ("opened", "closed", "closed"):
        recording.add(f"{protocol}-passthrough-{kind}", ONE)
    closed = f"{protocol}-passthrough-closed"
    assert findings() == [f"line 4: {closed}: {ONE} has ended before, with {closed}"]


@pytest.mark.parametrize("kind", ["request-initiated", "response-body-data", "response-initiated"])
def test_after_its_end_an_exchange_is_silent(recording: Any, findings: Findings, kind: str) -> None:
    recording.start().exchange(ONE)
    recording.add(kind, ONE)
    assert findings() == [f"line 5: {kind} after the end of {ONE}"]


def test_after_its_end_a_tunnel_is_silent(recording: Any, findings: Findings) -> None:
    recording.start()
    for kind in ("opened", "closed", "data"):
        recording.add(f"raw-passthrough-{kind}", ONE)
    assert findings() == [f"line 4: raw-passthrough-data after the end of {ONE}"]


# ── counts and gaps ────────────────────────────────────────────────────────────────────────────────


def test_the_counts_are_true(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE)
    recording.end(counts={"session-started": 1, "request-initiated": 1, "request": 2, "abort": 1})
    assert findings() == [
        "session-ended counts 1 abort, the file has 0",
        "session-ended counts 2 request, the file has 1",
        "session-ended counts 0 response, the file has 1",
    ]


def test_counts_that_are_none_are_told_once(recording: Any, findings: Findings) -> None:
    recording.start().end(counts=5)
    assert findings() == ["line 2: session-ended: counts: expected an object, found 5"]


@pytest.mark.parametrize("own", [0, 1])
def test_the_last_record_may_count_itself_or_not(recording: Any, findings: Findings, own: int) -> None:
    recording.start()
    recording.end(counts={"session-started": 1, "session-ended": own})
    assert findings() == []


def test_counts_of_a_derived_session_are_those_of_its_origin(recording: Any, findings: Findings) -> None:
    recording.start(derived={"from": "a.jsonl"}).end(counts={"response": 9})
    assert findings() == []


def test_what_a_gap_stands_for_is_not_missed(recording: Any, findings: Findings) -> None:
    recording.start()
    recording.add("request-initiated", ONE)
    recording.add("gap", counts={"response": 1, "request-initiated": 3, "websocket-accepted": 1})
    recording.add("response", TWO)
    recording.add("raw-passthrough-closed", "c")
    recording.add("websocket-close", "d")
    recording.end()
    assert findings() == []


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def body_of(data: bytes, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"size": len(data), "file": f"{digest[:2]}/{digest}", "sha256": digest, **changes}


def test_bodies_beside_the_log_are_read_and_counted(
    recording: Any, audited: Callable[..., Audit], tmp_path: Path, keep_beside: Callable[[Path, bytes], str]
) -> None:
    keep_beside(tmp_path, b"\xff\x00")
    recording.start().exchange(ONE, body=body_of(b"\xff\x00"))
    recording.add("request-body-data", ONE, content=body_of(b"\xff\x00"))
    recording.end()
    audit = audited(tmp_path)
    assert audit.findings == []
    assert audit.body_files == 2


@pytest.mark.parametrize(
    ("kept", "change", "finding"),
    [
        (b"", {}, "No such file or directory"),
        (b"HELLO", {}, "the content is not what its hash says"),
        (b"hello", {"size": 6}, "size says 6, but 5 bytes are kept"),
        (b"hello", {"sha256": "0" * 64}, "a body is not what its sha256 says"),
    ],
)
def test_a_body_beside_the_log_must_be_there_and_right(
    recording: Any, findings: Findings, tmp_path: Path, kept: bytes, change: dict[str, Any], finding: str
) -> None:
    body = body_of(b"hello", **change)
    if kept:
        (tmp_path / body["file"]).parent.mkdir()
        (tmp_path / body["file"]).write_bytes(kept)
    recording.start().exchange(ONE, body=body).end()
    (found,) = findings(tmp_path)
    assert found.startswith("line 4: ")
    assert found.endswith(finding)


def test_a_cut_body_beside_the_log_may_be_shorter(
    recording: Any, findings: Findings, tmp_path: Path, keep_beside: Callable[[Path, bytes], str]
) -> None:
    keep_beside(tmp_path, b"hello")
    recording.start().exchange(ONE, body=body_of(b"hello", size=900, truncated=True)).end()
    assert findings(tmp_path) == []


def test_a_body_that_is_none_is_told_and_not_read(recording: Any, findings: Findings, tmp_path: Path) -> None:
    recording.start().exchange(ONE, body={"size": 5, "file": 5, "sha256": 5}).end()
    assert findings(tmp_path) == [
        "line 4: response: body.file: expected a string, found 5",
        "line 4: response: body.sha256: expected a string, found 5",
    ]


def test_without_their_folder_bodies_cannot_be_checked(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE, body=body_of(b"hello")).end()
    (found,) = findings()
    assert found.endswith("the folder with the session's bodies is not known")


def test_the_hash_of_an_inline_body_is_checked(recording: Any, findings: Findings) -> None:
    recording.start().exchange(ONE, body={"size": 5, "text": "hello", "sha256": "0" * 64}).end()
    assert findings() == ["line 4: a body is not what its sha256 says"]


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("request", ["body"]),
        ("abort", ["requestBody"]),
        ("abort", ["response", "body"]),
        ("websocket-message-sent", ["content"]),
        ("client-error", ["request", "rawHead"]),
    ],
)
def test_bodies_are_checked_wherever_they_stand(
    recording: Any, findings: Findings, tmp_path: Path, kind: str, where: list[str]
) -> None:
    recording.start(events=[])
    record = recording.add(kind)
    for key in where[:-1]:
        record = record[key]
    record[where[-1]] = body_of(b"hello")
    (found,) = [finding for finding in findings(tmp_path) if "No such file" in finding]
    assert found.startswith("line 2: ")


# ── many findings ──────────────────────────────────────────────────────────────────────────────────


def test_findings_beyond_a_limit_are_only_counted(
    recording: Any, audited: Callable[..., Audit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "MAX_FINDINGS", 3)
    recording.start()
    for _ in range(5):
        recording.add("rules-reloaded", rules=5)
    audit = audited()
    assert [finding.partition(":")[0] for finding in audit.findings] == ["line 2", "line 3", "line 4"]
    assert audit.finding_count == 5
