"""Exchanges are added to a session as a new part: a new file, renamed when it is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.analysis.verify import Audit
from mockrec.formats.files import locks
from mockrec.formats.schema.errors import OutputExistsError, SessionError
from mockrec.formats.sessions.append import Addition, add_to_session, check_addable, write_session
from mockrec.formats.sessions.session import open_session

STARTED = {
    "seq": 0,
    "type": "session-started",
    "timestamp": "2026-02-02T00:00:00.000000Z",
    "schemaVersion": 1,
    "mockrecVersion": "0.3.0",
    "sessionId": "new",
    "startTime": 2,
    "startTimestamp": 2.0,
    "redaction": {"mode": "default", "keyId": "new"},
}
ENDED = {
    "seq": 4,
    "type": "session-ended",
    "timestamp": "2026-02-02T00:00:09.000000Z",
    "reason": "command ended",
    "exitCode": 0,
    "counts": {"request-initiated": 1},
    "truncatedBodies": 1,
    "redactions": 2,
}
OLD = [
    {**STARTED, "timestamp": "2026-01-01T00:00:00.000000Z", "sessionId": "old", "startTime": 1},
    {**ENDED, "seq": 1, "timestamp": "2026-01-01T00:00:01.000000Z", "counts": {}},
]


def exchange(identity: str) -> list[bytes]:
    """The lines of an exchange."""
    base = {"id": identity, "connectionId": identity, "timestamp": "2026-02-02T00:00:01.000000Z", "tags": []}
    timing = {"startTime": 2, "startTimestamp": 2.0}
    head = {"method": "GET", "url": "http://a.test/", "path": "/", "httpVersion": "1.1", "protocol": "http"}
    records: list[dict[str, Any]] = [
        {"seq": 70, "type": "request-initiated", **base, **head, "timingEvents": timing},
        {"seq": 71, "type": "request", **base, **head, "timingEvents": timing, "body": {"size": 0}},
        {"seq": 73, "type": "response", **base, "statusCode": 200, "timingEvents": timing, "body": {"size": 0}},
    ]
    return [json.dumps(record).encode() for record in records]


def addition(identity: str, bodies: Path | None = None) -> Addition:
    return Addition(lambda: exchange(identity), STARTED, ENDED, bodies)


def written(path: Path, *records: dict[str, Any], end: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + end, encoding="utf-8")
    return path


def order_findings(path: Path) -> list[str]:
    """What `verify` finds in the order, the numbers and the counts of records."""
    with open_session(path) as session:
        audit = Audit(session.header, session.bodies_folder)
        for number, record in session:
            audit.check(number, record)
        audit.finish()
        words = (": seq", "again", "after", "has no end", "counts")
        found = [one for one in audit.findings if any(word in one for word in words)]
        return [*found, *([session.cut_off] if session.cut_off else [])]


def test_a_new_session_is_made_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    assert add_to_session(str(path), addition("a"), file_mode=0o640) == 0
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [record["type"] for record in records] == [
        *("session-started", "request-initiated", "request", "response", "session-ended")
    ]
    assert "part" not in records[0] and records[0]["sessionId"] == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert order_findings(path) == []
    assert [one.name for one in tmp_path.iterdir()] == ["s.jsonl"]


def test_parts_are_numbered_and_the_last_record_counts_all_of_them(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", *OLD)
    path.chmod(0o600)
    first = path.read_bytes().splitlines()[0]
    for number, identity in enumerate("ab", 2):
        add_to_session(str(path), addition(identity), file_mode=0o644)
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert [record["seq"] for record in records] == list(range(len(records)))
        assert max(record.get("part", 1) for record in records) == number
    assert path.read_bytes().splitlines()[0] == first
    assert records[-1]["counts"] == {
        "session-started": 3, "request-initiated": 2, "request": 2, "response": 2, "session-ended": 1,
    }  # fmt: skip
    assert (records[-1]["truncatedBodies"], records[-1]["redactions"]) == (3, 6)
    assert {record["sessionId"] for record in records if record["type"] == "session-started"} == {"old"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert order_findings(path) == []


def test_a_session_that_was_cut_off_says_that_it_was(tmp_path: Path) -> None:
    whole = [json.loads(line) for line in exchange("open")[:2]]
    path = written(tmp_path / "s.jsonl", OLD[0], *[{**one, "seq": n} for n, one in enumerate(whole, 1)], end='{"ty')
    add_to_session(str(path), addition("a"), file_mode=0o600)
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert records[-1]["reason"] == "repaired"
    assert order_findings(path) == []
    add_to_session(str(path), addition("b"), file_mode=0o600)
    assert json.loads(path.read_bytes().splitlines()[-1])["reason"] == "repaired"
    assert order_findings(path) == []


def test_lines_stay_whatever_their_spelling(tmp_path: Path) -> None:
    odd = b'{"type": "rule-event",  "seq":1, "id":"x", "n":1.50e2, "big":123456789012345678901234567890}'
    path = tmp_path / "s.jsonl"
    path.write_bytes(json.dumps(OLD[0]).encode() + b"\n" + odd + b"\n" + json.dumps({**OLD[1], "seq": 2}).encode())
    with_link = tmp_path / "link.jsonl"
    with_link.symlink_to(path)
    add_to_session(str(with_link), addition("a"), file_mode=0o600)
    assert with_link.is_symlink()
    assert path.read_bytes().splitlines()[1] == odd


def test_a_damaged_session_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(json.dumps(OLD[0]).encode() + b"\n{damaged\n" + json.dumps(OLD[1]).encode() + b"\n")
    before = path.read_bytes()
    with pytest.raises(SessionError, match=r"s\.jsonl:2: expected a record"):
        add_to_session(str(path), addition("a"), file_mode=0o600)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["s.jsonl"]


def test_a_session_is_replaced_only_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = written(tmp_path / "s.jsonl", *OLD)
    before = path.read_bytes()

    def torn() -> Iterator[bytes]:
        yield from exchange("a")
        raise SessionError("log.jsonl", "is damaged")

    with pytest.raises(OutputExistsError, match="--force"):
        write_session(str(path), addition("a"), file_mode=0o600, replaces=False)
    with pytest.raises(SessionError, match="damaged"):
        write_session(str(path), Addition(torn, STARTED, ENDED, None), file_mode=0o600, replaces=True)
    assert path.read_bytes() == before
    write_session(str(path), addition("a"), file_mode=0o600, replaces=True)
    assert order_findings(path) == []
    assert b'"old"' not in path.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["s.jsonl"]
    write_session(str(tmp_path / "new.jsonl"), addition("a"), file_mode=0o600, replaces=False)
    assert (tmp_path / "new.jsonl").read_bytes() == path.read_bytes()


def test_what_a_killed_program_has_left_is_removed(tmp_path: Path) -> None:
    left, other, running = (tmp_path / f".mockrec-{name}" for name in ("left", "other", "running"))
    for folder, name in ((left, "s.jsonl"), (other, "t.jsonl"), (running, "s.jsonl")):
        folder.mkdir()
        (folder / name).write_bytes(b"torn")
    fd = os.open(running, os.O_RDONLY)
    try:
        assert locks.lock(fd) == locks.LOCKED
        add_to_session(str(tmp_path / "s.jsonl"), addition("a"), file_mode=0o600)
    finally:
        os.close(fd)
    assert sorted(one.name for one in tmp_path.iterdir()) == [other.name, running.name, "s.jsonl"]


def test_what_cannot_be_added_to_is_refused_before(tmp_path: Path) -> None:
    parts = written(tmp_path / "p.jsonl", *OLD)
    written(tmp_path / "p.0002.jsonl", {**OLD[0], "part": 2})
    (tmp_path / "set").mkdir()
    for path, why in (
        (str(parts), "in several files"),
        (str(tmp_path / "set"), "a data set of Parquet"),
        (str(tmp_path / f"{'x' * 300}.jsonl"), "File name too long"),
        ("-", "in a file only"),
        ("s3://bucket/a.parquet", "in a file only"),
        (str(tmp_path / "none" / "a.jsonl"), "its folder is not there"),
    ):
        with pytest.raises(SessionError, match=why):
            check_addable(path)
    check_addable(str(tmp_path / "new.jsonl"))
