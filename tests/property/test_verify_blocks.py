"""Sessions that are damaged at random: `verify` of blocks of lines finds what `verify` of single records finds."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.formats.analysis.strict_records import StrictDecoder
from mockrec.formats.analysis.verify import Audit
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import check_record
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]

_STAMP = "2026-11-18T11:00:00.00000{}Z"
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    7,
    7.0,
    2**63,
    1e300,
    "",
    "x",
    "É",
    [],
    {},
    [1],
    ["a"],
    {"a": None},
    {"A": "b"},
)
_RAW = (
    b"",
    b" ",
    b"x",
    b"{",
    b"[]",
    b'{"type":"later"}',
    b'{"seq":1,"type":"response","type":"request"}',
    b'{"a":"\xff"}',
    b'{"type":"gap"}{"type":"gap"}',
)


def _exchange(number: int) -> list[Record]:
    identity = f"019ab3f0-0000-7000-8000-00000000000{number % 9}"
    common = {"id": identity, "connectionId": f"c{number % 2}"}
    pairs = [["Host", "x.test"], ["Cookie", "a=b"]]
    head = {
        **common,
        "protocol": "http",
        "httpVersion": "1.1",
        "method": "POST",
        "url": "http://x.test/a",
        "path": "/a",
        "remoteIpAddress": "127.0.0.1",
        "remotePort": 4000,
        "destination": {"hostname": "x.test", "port": 80},
        "headers": {"host": "x.test", "cookie": "a=b"},
        "rawHeaders": pairs,
        "timingEvents": {"startTime": 1.5, "startTimestamp": 2.5},
        "tags": [],
        "tlsMetadata": {"sniHostname": "x.test"},
    }
    return [
        {"type": "request-initiated", **head},
        {"type": "request", **head, "matchedRuleId": "r", "body": {"size": 2, "text": "é"}},
        {
            "type": "rule-event",
            **common,
            "requestId": identity,
            "ruleId": "r",
            "eventType": "t",
            "eventData": {"a": {"b": None}},
        },
        {
            "type": "response",
            **common,
            "statusCode": 200,
            "statusMessage": "OK",
            "headers": {"set-cookie": ["a=b"], "x": "y"},
            "rawHeaders": [["Set-Cookie", "a=b"], ["X", "y"]],
            "timingEvents": {"startTime": 1.5, "startTimestamp": 2},
            "tags": ["t"],
            "method": "POST",
            "url": "http://x.test/a",
            "host": "x.test",
            "duration": 3,
            "body": {"size": 2, "base64": "//8=", "contentEncoding": "gzip", "encodedSize": 9},
        },
    ]


def _session(dice: Random) -> list[Record]:
    records: list[Record] = [
        {
            "type": "session-started",
            "schemaVersion": 1,
            "mockrecVersion": "1",
            "sessionId": "s",
            "startTime": 1,
            "startTimestamp": 1.0,
        }
    ]
    for number in range(dice.randint(0, 4)):
        records += _exchange(number)
    if dice.random() < 0.7:
        records.append({"type": "session-ended", "reason": "finished", "counts": {"request": dice.randint(0, 4)}})
    return [{"seq": seq, **record, "timestamp": _STAMP.format(seq % 10)} for seq, record in enumerate(records)]


def _damage(dice: Random, value: Any) -> Any:
    """The value with one part changed, removed or added."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        how = dice.random()
        if how < 0.1:
            return {name: part for name, part in value.items() if name != key}
        if how < 0.2:
            return {**value, dice.choice(("later", "Upper", "file", "sha256", "truncated", "raw")): dice.choice(_ODD)}
        return {**value, key: _damage(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.8:
        place = dice.randrange(len(value))
        return [*value[:place], _damage(dice, value[place]), *value[place + 1 :]]
    return dice.choice(_ODD)


def _lines(dice: Random) -> bytes:
    records = _session(dice)
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        place = dice.randrange(1, len(records)) if len(records) > 1 and dice.random() < 0.9 else 0
        records[place] = _damage(dice, records[place])
    lines = [orjson.dumps(record) for record in records]
    how = dice.random()
    place = dice.randrange(len(lines))
    if how < 0.15:
        del lines[place]
    elif how < 0.3:
        lines.insert(place, lines[dice.randrange(len(lines))])
    elif how < 0.45:
        lines.insert(max(place, 1), dice.choice(_RAW))
    return b"\n".join(lines) + dice.choice((b"", b"\n", b"\n\n", b'\n{"seq"'))


def _found(path: Path, *, blocks: bool) -> tuple[Any, ...]:
    with open_session(path) as session:
        audit = Audit(session.header, session.bodies_folder)
        for line in session.scan(audit.check_block if blocks else None):
            if line.record is not None:
                audit.check(line.number, line.record)
            else:
                audit.report_at(line.number, f"{line.problem} {line.torn}")
        audit.finish()
        last = audit.last or {}
        known = (audit.findings, audit.counts, audit.open_ids, audit.exchange_count, audit.body_files, session.cut_off)
        return *known, last.get("seq"), last.get("timestamp")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_blocks_have_the_findings_of_their_records(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(_lines(Random(seed)))
    try:
        open_session(path).close()
    except SessionError:  # of another version, or no session
        return
    assert _found(path, blocks=True) == _found(path, blocks=False)


@pytest.mark.parametrize("place", range(4))
def test_records_without_a_fault_are_decoded_together(place: int) -> None:
    record = {"seq": 1, "timestamp": _STAMP.format(1), **_exchange(0)[place]}
    assert not check_record(record)
    decoded = StrictDecoder().decode(b"\n".join([orjson.dumps(record)] * 3))
    assert decoded is not None
    assert [one.seq for one in decoded] == [1, 1, 1]
