"""Sessions to measure formats with: JSON Lines as the recorder writes them, of any size, always the same.

Hosts, routes, agents and ids repeat as they do in a test suite; bodies are JSON, HTML, forms and, for one
response in eleven, bytes that nothing can compress. That is what decides how small a file can be.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
    "python-requests/2.32.5",
    "okhttp/5.1.0",
    "curl/8.17.0",
)
_HOSTS = tuple(f"{name}.svc{number}.example.com" for name in ("api", "auth", "cdn") for number in range(1, 5))
_ROUTES = (
    "/v1/users/{}",
    "/v1/orders/{}/items",
    "/v2/search?q={}",
    "/static/img/{}.png",
    "/session/{}",
    "/v1/carts/{}",
)
_STATUSES = ((200, "OK"),) * 12 + ((201, "Created"), (204, "No Content"), (304, "Not Modified"), (404, "Not Found"))
_FAULTS = ((429, "Too Many Requests"), (500, "Internal Server Error"), (503, "Service Unavailable"))
_WORDS = (
    *("order", "customer", "pending", "shipped", "invoice", "total", "currency", "street", "number", "city", "country"),
    *("created", "updated", "reference", "description", "item", "quantity", "price", "discount", "warehouse", "note"),
)
_START = 1_763_978_400.0
SAMPLE_BYTES = 100_000_000
"""Of what a large session repeats: more than a row group, so that nothing can see the repetition."""


def write_recording(path: Path, size: int, *, bodies: bool = True, seed: int = 7) -> int:
    """Write at least `size` bytes of a session; the number of its exchanges."""
    written = count = 0
    with path.open("wb") as file:
        for exchange in _exchanges(random.Random(seed), bodies):
            lines = b"".join(
                json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for record in exchange
            )
            file.write(lines)
            written += len(lines)
            count += 1
            if written >= size:
                return count
    raise AssertionError("exchanges never end")


def write_session(path: Path, size: int) -> None:
    """A large session, quickly: a sample again and again."""
    sample = path.with_name("sample.jsonl")
    write_recording(sample, min(size, SAMPLE_BYTES))
    data = sample.read_bytes()
    sample.unlink()
    with path.open("wb") as file:
        for _ in range(max(1, size // len(data))):
            file.write(data)


def _exchanges(dice: random.Random, bodies: bool) -> Iterator[list[Record]]:
    seq = 1
    clock = 0.0
    yield [_started()]
    connection, left = "", 0
    while True:
        if left == 0:
            connection, left = _uuid(dice, clock), dice.randint(1, 40)
        left -= 1
        clock += dice.expovariate(1 / 4.0)
        records = _exchange(dice, clock, connection, bodies)
        for record in records:
            record["seq"] = seq
            seq += 1
        yield records


def _started() -> Record:
    return {
        "seq": 0,
        "type": "session-started",
        "timestamp": _time(0.0),
        "schemaVersion": 1,
        "mockrecVersion": "0.1.0",
        "sessionId": "019ab3f0-0000-7000-8000-000000000000",
        "startTime": _START * 1000,
        "startTimestamp": 5000.0,
    }


def _exchange(dice: random.Random, clock: float, connection: str, bodies: bool) -> list[Record]:
    identity = _uuid(dice, clock)
    host, route = dice.choice(_HOSTS), dice.choice(_ROUTES).format(dice.randint(1, 99_999))
    method = "GET" if "static" in route or "search" in route else dice.choice(("GET", "GET", "POST", "PUT"))
    url = f"https://{host}{route}"
    sent = _json(dice, 4) if bodies and method in ("POST", "PUT") else b""
    status, reason = dice.choice(_FAULTS) if dice.random() < 0.02 else dice.choice(_STATUSES)
    answer, content_type = _answer(dice, route, status, bodies)
    took = dice.lognormvariate(2.0, 1.0)
    timing = {"startTime": round(_START * 1000 + clock, 3), "startTimestamp": round(5000 + clock, 4)}
    pairs = [
        ["Host", host],
        ["User-Agent", dice.choice(_AGENTS)],
        ["Accept", "application/json, text/plain, */*"],
        ["Accept-Encoding", "gzip, deflate, br"],
        ["Authorization", f"Bearer {dice.choice(_TOKENS)}"],
        ["X-Request-Id", _uuid(dice, clock)],
    ]
    if sent:
        pairs += [["Content-Type", "application/json"], ["Content-Length", str(len(sent))]]
    answered = [
        ["Date", f"Mon, 24 Nov 2025 10:{int(clock / 60_000) % 60:02}:{int(clock / 1000) % 60:02} GMT"],
        ["Content-Type", content_type],
        ["Content-Length", str(len(answer))],
        ["Server", "nginx/1.28.0"],
        ["Vary", "Accept-Encoding"],
        ["Cache-Control", "no-cache, no-store, must-revalidate"],
        ["Strict-Transport-Security", "max-age=63072000; includeSubDomains"],
        ["X-Trace", f"{dice.getrandbits(64):016x}"],
    ]
    head = {
        "protocol": "https",
        "httpVersion": "1.1",
        "method": method,
        "url": url,
        "path": route,
        "destination": {"hostname": host, "port": 443},
        "headers": {name.lower(): value for name, value in pairs},
        "rawHeaders": pairs,
        "remoteIpAddress": "127.0.0.1",
        "remotePort": 32_768 + int(connection[-4:], 16) % 28_000,
    }
    tls = {
        "sniHostname": host,
        "clientAlpn": ["h2", "http/1.1"],
        "ja3Fingerprint": "e7d705a3286e19ea42f587b344ee6865",
        "ja4Fingerprint": "t13d1516h2_8daaf6152771_02713d6af862",
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
    }

    def record(kind: str, at: float, **more: Any) -> Record:
        return {
            "seq": 0,
            "type": kind,
            "timestamp": _time(clock + at),
            "id": identity,
            "connectionId": connection,
            **more,
        }

    done = {"bodyReceivedTimestamp": round(5000 + clock + took * 0.1, 4)}
    end = {
        "headersSentTimestamp": round(5000 + clock + took * 0.8, 4),
        "responseSentTimestamp": round(5000 + clock + took, 4),
    }
    rule = {"matchedRuleId": f"{host.split('.', 1)[0]}-{method.lower()}"}
    return [
        record("request-initiated", 0.0, **head, timingEvents=timing, tags=[], tlsMetadata=tls),
        record(
            "request",
            took * 0.1,
            **rule,
            **head,
            timingEvents={**timing, **done},
            tags=[],
            tlsMetadata=tls,
            body=_body(sent),
        ),
        record(
            "response",
            took,
            statusCode=status,
            statusMessage=reason,
            headers={name.lower(): value for name, value in answered},
            rawHeaders=answered,
            timingEvents={**timing, **done, **end},
            tags=[],
            method=method,
            url=url,
            host=host,
            **rule,
            duration=round(took, 4),
            body=_body(answer),
        ),
    ]


def _answer(dice: random.Random, route: str, status: int, bodies: bool) -> tuple[bytes, str]:
    if status in (204, 304) or not bodies:
        return b"", "application/json"
    if "static" in route and dice.random() < 0.55:
        return dice.randbytes(dice.randint(400, 5_000)), "image/png"
    if "static" in route:
        return _html(dice), "text/html; charset=utf-8"
    return _json(dice, dice.randint(2, 24)), "application/json"


def _json(dice: random.Random, items: int) -> bytes:
    made = [
        {
            "id": _uuid(dice, dice.random() * 1e6),
            "reference": f"{dice.getrandbits(40):010x}",
            "name": " ".join(dice.choices(_WORDS, k=3)),
            "status": dice.choice(("active", "pending", "closed")),
            "price": round(dice.random() * 500, 2),
            "quantity": dice.randint(1, 20),
            "createdAt": _time(dice.random() * 1e7),
        }
        for _ in range(items)
    ]
    return json.dumps({"items": made, "total": items, "page": 1}, separators=(",", ":")).encode()


def _html(dice: random.Random) -> bytes:
    rows = "".join(f"<li class=item><a href=/v1/{w}>{' '.join(dice.choices(_WORDS, k=8))}</a></li>" for w in _WORDS)
    return f"<!doctype html><html><head><title>Shop</title></head><body><ul>{rows}</ul></body></html>".encode()


def _body(data: bytes) -> Record:
    try:
        return {"size": len(data), "text": data.decode()}
    except UnicodeDecodeError:
        return {"size": len(data), "base64": base64.b64encode(data).decode()}


def _time(ms: float) -> str:
    total = int(ms * 1000)
    seconds, micro = divmod(total, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"2025-11-{24 + hours // 24 % 6:02}T{hours % 24:02}:{minute:02}:{second:02}.{micro:06}Z"


def _uuid(dice: random.Random, clock: float) -> str:
    head = f"{int(_START * 1000 + clock):012x}"
    tail = f"{dice.getrandbits(76):019x}"
    return f"{head[:8]}-{head[8:]}-7{tail[:3]}-{8 + int(tail[3], 16) % 4:x}{tail[4:7]}-{tail[7:]}"


_TOKENS = tuple(base64.urlsafe_b64encode(random.Random(number).randbytes(90)).decode() for number in range(20))
