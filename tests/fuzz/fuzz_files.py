"""What may stand in a file: rule files and sessions end in what they say, or in an error with a message."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import orjson
import zstandard
from fuzz_target import Target

from mockrec.cli.exchange_report import story
from mockrec.engine.errors import MockrecError
from mockrec.engine.rules.language.load import load_rules
from mockrec.formats.analysis.verify import Audit
from mockrec.formats.files.frames import gzip_member
from mockrec.formats.schema.errors import FormatError, RecordError
from mockrec.formats.schema.events import parse_event, to_record
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.rows import rows_of
from mockrec.formats.sessions.session import Session

_ROOT = Path(__file__).parents[2]
_NO_FOLDER = Path("/nowhere.bodies")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202e]")


def check_message(error: Exception) -> None:
    assert str(error)


def rules(data: bytes, chance: Random) -> None:
    def read_file(path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", path)

    try:
        load_rules(data, path="rules.yaml", folder="/nowhere", read_file=read_file, env={"A": "b"})
    except MockrecError as found:
        check_message(found)


def session(data: bytes, chance: Random) -> None:
    try:
        opened = Session(Source("s.jsonl", io.BytesIO(data)))
        audit = Audit(opened.header, None)
        records: list[tuple[int, Mapping[str, Any]]] = []
        for line in opened.scan():
            if line.record is not None:
                audit.check(line.number, line.record)
                records.append((line.number, line.record))
        audit.finish()
    except FormatError as found:
        check_message(found)
        return
    for row in rows_of(records):
        str(row)
    for line in story([record for _, record in records], _NO_FOLDER) if records else ():
        assert not _CONTROLS.search(line), f"it can steer a terminal: {line!r:.300}"
    for _, record in records:
        try:
            event = parse_event(record)
        except RecordError:
            continue
        orjson.dumps(to_record(event))


def _rule_files() -> list[bytes]:
    texts = [path.read_bytes() for path in sorted((_ROOT / "samples").glob("*.yaml"))]
    bomb = "a: &a [x,x,x,x]\n" + "".join(
        f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(9)
    )
    odd = ["version: 1\nrules:\n  - then: {reply: {status: 200, body: " + text + "}}\n" for text in _ODD]
    return [*texts, bomb.encode(), b"[" * 3000, b"{a: " * 500, *(one.encode() for one in odd)]


_ODD = ["'${A}'", "1e999", "0o777", "0x" + "f" * 500, "9" * 5000, "!!python/object/apply:os.system [x]", "*a", "&a [*a]",
        "!!binary aGk=", "2001-01-01", "~", "? a", "| \n x", "{json: {a: .inf}}", "{file: ../../etc/passwd}"]  # fmt: skip
_RULE_TOKENS = (
    b"version: rules: when: then: reply: status: body: headers: path: pathRegex: '(a+)+$' method: delay: 1s times: template: true"
    b" {{ passthrough forward: to: json: script: - \n \n\n  : &a *a !!str !!map | > ? [ ] { } # --- ... %YAML << .inf ~ null"
).split(b" ")

_STARTED = {
    "type": "session-started",
    "seq": 0,
    "schemaVersion": 1,
    "startTime": 1.0,
    "timestamp": "2026-01-01T00:00:00Z",
}
_RECORDS = [
    _STARTED,
    {"type": "request-initiated", "seq": 1, "id": "a", "connectionId": "c", "method": "GET", "url": "http://a/", "rawHeaders": [["A", "b"]]},
    {"type": "request", "seq": 2, "id": "a", "connectionId": "c", "body": {"size": 2, "text": "hi"}, "headers": {"a": "b"}, "tags": []},
    {"type": "response", "seq": 3, "id": "a", "statusCode": 200, "body": {"size": 3, "base64": "AAEC", "truncated": True}},
    {"type": "client-error", "seq": 4, "id": "b", "errorCode": "X", "request": {}, "aborted": True},
    {"type": "x\x1b[31m", "id": "\x9b", "body": {"size": 1, "file": "../" + "a" * 64}, "\x07": "\x1b]0;x\x07", "duration": 1e300},
    {"type": "request", "id": "a", "timingEvents": {"startTimestamp": -1e308, "responseSentTimestamp": 1e308}, "rawHeaders": [1, ["a"]]},
    {"type": "rule-event", "seq": 5, "requestId": "a", "ruleId": "r", "eventType": "e", "eventData": {}},
    {"type": "raw-passthrough-opened", "seq": 6, "id": "t", "destination": {"hostname": "a", "port": 1}},
    {"type": "session-ended", "seq": 7, "counts": {}, "timestamp": "2026-01-01T00:00:01Z"},
]  # fmt: skip


def _sessions() -> list[bytes]:
    lines = b"".join(orjson.dumps(record) + b"\n" for record in _RECORDS)
    each = [orjson.dumps(_STARTED) + b"\n" + orjson.dumps(record) + b"\n" for record in _RECORDS]
    nested = orjson.dumps(_STARTED)[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}\n"
    deep = [
        orjson.dumps(_STARTED) + b'\n{"type":"x","request":' + opened * 1000 + b"1" + closed * 1000 + b"}\n"
        for opened, closed in ((b"[", b"]"), (b'{"request":', b"}"), (b'{"body":', b"}"))
    ]
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 22))
    return [
        lines,
        *each,
        lines[:-20],
        nested,
        *deep,
        gzip_member(lines),
        zstandard.ZstdCompressor().compress(lines),
        bomb,
    ]


_SESSION_TOKENS = (
    b'"type": "seq": "id": "body": {"size": "text": "base64": "file": null true 1e400 -0 [] {} "\\ud800" {"a": "timestamp":'
    b' "statusCode": "destination": "tags": "error": \n'
).split(b" ")

TARGETS = [
    Target("rules", rules, _rule_files(), _RULE_TOKENS),
    Target("session", session, _sessions(), _SESSION_TOKENS),
]
