"""Makes sessions as a test suite of an API would leave them: the same calls each time, other ids and times.

`python tests/benchmarks/sessions.py 100000 a.jsonl` writes one; with `--run 2 --changed 0.01` a second one of the
same calls, in which one answer in a hundred says something else.
"""

from __future__ import annotations

import argparse
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_HOST = "api.example.test"
_START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_REQUEST_HEADERS = [
    ["Host", _HOST],
    ["User-Agent", "python-httpx/0.28.1"],
    ["Accept", "application/json"],
    ["Accept-Encoding", "gzip, deflate, br"],
    ["Connection", "keep-alive"],
    ["Authorization", "Bearer redacted-5f1c2d3e"],
]
_WORDS = [
    "amber",
    "basil",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "ledge",
    "marsh",
]
_NO_CONTENT: Record = {"size": 0, "text": ""}


def records(count: int, run: int, changed: float) -> Iterator[Record]:
    """All records of a session with so many exchanges. Calls depend on their number alone, volatile values on the run."""
    volatile = random.Random(run)
    start = _START + timedelta(days=run)
    seq = 1
    yield {
        "seq": 0,
        "type": "session-started",
        "timestamp": _iso(start),
        "schemaVersion": 1,
        "mockrecVersion": "0.1.0",
        "sessionId": _uuid(volatile),
        "startTime": start.timestamp() * 1000,
        "startTimestamp": 1000.0,
        "listen": {"url": "http://127.0.0.1:8000", "host": "127.0.0.1", "port": 8000},
        "redaction": {"mode": "default", "keyId": "0badcafe"},
    }
    for number in range(count):
        for record in _exchange(
            number, volatile, start + timedelta(milliseconds=5 * number), changed if run > 1 else 0
        ):
            yield {"seq": seq, **record}
            seq += 1
    yield {
        "seq": seq,
        "type": "session-ended",
        "timestamp": _iso(start + timedelta(milliseconds=5 * count)),
        "reason": "finished",
        "counts": {},
    }


def _exchange(number: int, volatile: random.Random, now: datetime, changed: float) -> Iterator[Record]:
    call = random.Random(number)
    method, path, status, content, answer = _call(call, volatile, now)
    if changed and call.random() < changed:
        answer = {**answer, "state": "changed", "extra": number}
    url = f"https://{_HOST}{path}"
    identity, connection = _uuid(volatile), _uuid(random.Random(number // 50))
    body = _body(content) if content else _NO_CONTENT
    head = {
        "id": identity,
        "connectionId": connection,
        "protocol": "https",
        "httpVersion": "1.1",
        "method": method,
        "url": url,
        "path": path,
        "remoteIpAddress": "127.0.0.1",
        "remotePort": 40000 + number % 20000,
        "destination": {"hostname": _HOST, "port": 443},
        "headers": {name.lower(): value for name, value in _REQUEST_HEADERS},
        "rawHeaders": _REQUEST_HEADERS,
        "timingEvents": {"startTime": now.timestamp() * 1000, "startTimestamp": 1000.0 + 5 * number},
        "tags": [],
    }
    yield {"type": "request-initiated", "timestamp": _iso(now), **head}
    yield {"type": "request", "timestamp": _iso(now), **head, "matchedRuleId": "api", "body": body}
    text = _body(answer)
    raw = [
        ["Content-Type", "application/json"],
        ["Date", now.strftime("%a, %d %b %Y %H:%M:%S GMT")],
        ["Content-Length", str(text["size"])],
        ["X-Request-Id", _uuid(volatile)],
        ["Cache-Control", "no-store"],
        ["Strict-Transport-Security", "max-age=63072000"],
    ]
    duration = call.lognormvariate(1.5, 0.4) + volatile.random()
    yield {
        "type": "response",
        "timestamp": _iso(now),
        "id": identity,
        "connectionId": connection,
        "statusCode": status,
        "statusMessage": "OK",
        "headers": {name.lower(): value for name, value in raw},
        "rawHeaders": raw,
        "timingEvents": {
            "startTime": now.timestamp() * 1000,
            "startTimestamp": 1000.0 + 5 * number,
            "headersSentTimestamp": 1000.0 + 5 * number + duration / 2,
        },
        "tags": [],
        "method": method,
        "url": url,
        "host": _HOST,
        "matchedRuleId": "api",
        "duration": duration,
        "body": text,
    }


def _call(call: random.Random, volatile: random.Random, now: datetime) -> tuple[str, str, int, Any, Record]:
    """Method, path, status, content and answer of a call. Half of the answers hold what changes from run to run."""
    kind, number = call.random(), call.randrange(5000)
    thing = {"id": number, "name": " ".join(call.choices(_WORDS, k=3)), "price": call.randrange(10000) / 100}
    if kind < 0.4:
        return "GET", f"/v1/things/{number}", 200, None, {**thing, "tags": call.choices(_WORDS, k=4), "state": "ok"}
    if kind < 0.6:
        items = [{"id": 10 * number + index, "word": call.choice(_WORDS), "rank": index} for index in range(8)]
        answer = {"items": items, "total": 8, "requestId": _uuid(volatile), "at": _iso(now)}
        return "GET", f"/v1/things?page={number}&size=8", 200, None, answer
    if kind < 0.9:
        answer = {**thing, "ref": _uuid(volatile), "createdAt": _iso(now), "updatedAt": int(now.timestamp())}
        return "POST", "/v1/orders", 201, {"thing": number, "note": " ".join(call.choices(_WORDS, k=6))}, answer
    return "GET", f"/v1/missing/{number}", 404, None, {"error": "not found", "thing": number}


def _body(value: Any) -> Record:
    text = json.dumps(value, separators=(",", ":"))
    return {"size": len(text.encode()), "text": text}


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128)))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def write(path: Path, count: int, run: int = 1, changed: float = 0.01) -> Path:
    """Write a session as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        for record in records(count, run, changed):
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="make a session")
    parser.add_argument("count", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--run", type=int, default=1, help="another number is another run of the same calls")
    parser.add_argument("--changed", type=float, default=0.01, help="part of the answers that run 2 and later change")
    options = parser.parse_args()
    write(options.path, options.count, options.run, options.changed)


if __name__ == "__main__":
    main()
