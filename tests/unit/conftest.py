"""Records and sessions for tests: a complete record of every type, and recordings built from them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

Record = dict[str, Any]

EXCHANGE = "01890a5d-ac96-774b-bcce-b302099a8057"
CONNECTION = "01890a5d-ac00-7000-8000-000000000001"
DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
"""Of `hello`."""

_DESTINATION = {"hostname": "example.test", "port": 443}
_TLS = {
    "sniHostname": "example.test",
    "clientAlpn": ["h2", "http/1.1"],
    "ja3Fingerprint": "e7d705a3286e19ea42f587b344ee6865",
    "ja4Fingerprint": "t13d1516h2_8daaf6152771_02713d6af862",
    "version": "TLSv1.3",
    "cipher": "TLS_AES_128_GCM_SHA256",
}
_TIMING = {
    "startTime": 1700000000000.5,
    "startTimestamp": 1000.25,
    "bodyReceivedTimestamp": 1001.0,
    "headersSentTimestamp": 1002.0,
    "responseSentTimestamp": 1003.5,
    "wsAcceptedTimestamp": 1004.0,
    "wsClosedTimestamp": 1005.0,
    "abortedTimestamp": 1006.0,
}
_TUNNEL_TIMING = {
    "startTime": 1700000000000.5,
    "connectTimestamp": 1000.25,
    "tunnelTimestamp": 1001.0,
    "handshakeTimestamp": 1002.0,
    "disconnectTimestamp": 1250.25,
}
_ERROR = {"name": "ConnectionResetError", "code": "ECONNRESET", "message": "gone", "stack": "at line 1\nat line 2"}
_BODY = {"size": 5, "text": "hello"}
_TRAILERS = {"trailers": {"x-sum": "1"}, "rawTrailers": [["X-Sum", "1"]]}
_IDS = {"id": EXCHANGE, "connectionId": CONNECTION}
_EXCHANGE = {**_IDS, "scope": "tests/test_shop.py::test_pay[eur]"}
_HEAD = {
    "protocol": "https",
    "httpVersion": "1.1",
    "method": "POST",
    "url": "https://example.test/hello?a=b",
    "path": "/hello?a=b",
    "remoteIpAddress": "127.0.0.1",
    "remotePort": 50000,
    "destination": _DESTINATION,
    "headers": {"host": "example.test", "accept": "text/html, */*"},
    "rawHeaders": [["Host", "example.test"], ["Accept", "text/html"], ["accept", "*/*"]],
}
_REQUEST = {
    **_EXCHANGE,
    "matchedRuleId": "greet",
    "continuedRuleIds": ["marked"],
    **_HEAD,
    "timingEvents": _TIMING,
    "tags": ["slow"],
    "tlsMetadata": _TLS,
}
_RESPONSE_HEAD = {
    "statusCode": 201,
    "statusMessage": "Created",
    "headers": {"content-type": "text/plain", "set-cookie": ["a=1", "b=2"]},
    "rawHeaders": [["Content-Type", "text/plain"], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]],
}
_RESPONSE = {**_EXCHANGE, **_RESPONSE_HEAD, "timingEvents": _TIMING, "tags": []}
_ENDING = {
    "method": "POST",
    "url": "https://example.test/hello?a=b",
    "host": "example.test",
    "matchedRuleId": "greet",
    "continuedRuleIds": ["marked"],
    "duration": 3.25,
}
_PARTIAL_RESPONSE = {
    "statusCode": 400,
    "id": EXCHANGE,
    "statusMessage": "Bad Request",
    "headers": {"connection": "close"},
    "rawHeaders": [["Connection", "close"]],
    "body": _BODY,
    **_TRAILERS,
    "timingEvents": _TIMING,
    "tags": [],
}
_PIECE = {**_EXCHANGE, "content": _BODY, "isEnded": True, "eventTimestamp": 1001.5}
_MESSAGE = {
    **_EXCHANGE,
    "streamId": EXCHANGE,
    "direction": "received",
    "content": _BODY,
    "isBinary": False,
    "eventTimestamp": 1001.5,
    "timingEvents": _TIMING,
    "tags": [],
}
_GRPC = {
    **_EXCHANGE,
    "index": 0,
    "size": 40,
    "compressed": True,
    "message": {"1": "x1"},
    "followedBy": 2,
    "eventTimestamp": 1001.5,
}
_TUNNEL = {
    **_EXCHANGE,
    "destination": _DESTINATION,
    "remoteIpAddress": "127.0.0.1",
    "remotePort": 50000,
    "tags": [],
    "timingEvents": _TUNNEL_TIMING,
}
_RULE = {"id": "greet", "line": 3, "explanation": "GET /hello answers 200"}

COMPLETE: dict[str, Record] = {
    "session-started": {
        "schemaVersion": 1,
        "mockrecVersion": "0.1.0",
        "sessionId": "01890a5d-0000-7000-8000-000000000000",
        "startTime": 1700000000000.5,
        "startTimestamp": 1000.25,
        "listen": {"url": "http://127.0.0.1:8000", "host": "127.0.0.1", "port": 8000},
        "rules": [_RULE],
        "rulesSha256": DIGEST,
        "events": ["request", "response"],
        "bodies": "decoded",
        "command": ["pytest", "-q"],
        "ci": {"provider": "github", "runUrl": "https://ci.test/1", "commit": "abc"},
        "redaction": {"keyId": "12345678"},
        "protobuf": "Cg==",
        "part": 2,
        "derived": {"from": "a.jsonl", "expression": "status == 200"},
        "replay": {"of": EXCHANGE, "from": "a.jsonl", "to": ["http://localhost:3000"], "pace": "original"},
    },
    "request-initiated": _REQUEST,
    "request-body-data": _PIECE,
    "request": {**_REQUEST, "body": _BODY, **_TRAILERS, "operation": {"protocol": "graphql"}},
    "response-initiated": _RESPONSE,
    "response-information": {**_RESPONSE, "statusCode": 103, "eventTimestamp": 1001.5},
    "response-body-data": _PIECE,
    "response": {**_RESPONSE, **_ENDING, "body": _BODY, **_TRAILERS},
    "abort": {
        **_REQUEST,
        "host": "example.test",
        "duration": 3.25,
        "error": _ERROR,
        "requestBody": _BODY,
        "response": _PARTIAL_RESPONSE,
    },
    "websocket-request": {
        **_REQUEST,
        "body": {"size": 0, "text": ""},
        **_TRAILERS,
        "operation": {"protocol": "graphql"},
    },
    "websocket-accepted": {**_RESPONSE, "statusCode": 101, "body": {"size": 0, "text": ""}, **_TRAILERS},
    "websocket-message-received": _MESSAGE,
    "websocket-message-sent": {**_MESSAGE, "direction": "sent"},
    "websocket-close": {
        **_EXCHANGE,
        "streamId": EXCHANGE,
        **_ENDING,
        "closeCode": 1000,
        "closeReason": "bye",
        "initiator": "server",
        "serverCloseCode": 4000,
        "serverCloseReason": "enough",
        "timingEvents": _TIMING,
        "tags": [],
    },
    "grpc-message-received": _GRPC,
    "grpc-message-sent": {**_GRPC, "index": 1},
    "tls-client-error": {
        **_IDS,
        "failureCause": "cert-rejected",
        "remoteIpAddress": "127.0.0.1",
        "remotePort": 50000,
        "destination": _DESTINATION,
        "tags": [],
        "timingEvents": {**_TUNNEL_TIMING, "failureTimestamp": 1002.5},
        "tlsMetadata": _TLS,
    },
    "client-error": {
        **_EXCHANGE,
        "exchangeId": "01890a5d-ffff-7000-8000-000000000000",
        "errorCode": "HPE_INVALID_METHOD",
        "errorMessage": "no method (PROTOCOL_ERROR)",
        "request": {
            "id": EXCHANGE,
            **_HEAD,
            "body": _BODY,
            **_TRAILERS,
            "timingEvents": _TIMING,
            "tags": [],
            "tlsMetadata": _TLS,
            "rawHead": _BODY,
        },
        "response": _PARTIAL_RESPONSE,
        "aborted": True,
    },
    "tls-passthrough-opened": {**_TUNNEL, "tlsMetadata": _TLS},
    "tls-passthrough-closed": {**_TUNNEL, "tlsMetadata": _TLS, "bytesReceived": 10, "bytesSent": 20},
    "raw-passthrough-opened": _TUNNEL,
    "raw-passthrough-closed": {**_TUNNEL, "bytesReceived": 10, "bytesSent": 20},
    "raw-passthrough-data": {**_EXCHANGE, "direction": "received", "content": _BODY, "eventTimestamp": 1001.5},
    "rule-event": {
        **_EXCHANGE,
        "requestId": EXCHANGE,
        "ruleId": "greet",
        "eventType": "note",
        "eventData": {"nothing": None, "empty": {}},
    },
    "gap": {"counts": {"response": 2, "request": 1}},
    "rules-reloaded": {"rules": [_RULE], "rulesSha256": DIGEST},
    "callback-error": {**_IDS, "eventType": "response", "callback": "handlers.py:seen", "error": _ERROR},
    "session-ended": {
        "reason": "signal",
        "part": 1,
        "exitCode": 0,
        "counts": {"session-started": 1},
        "rules": [{"id": "greet", "used": 2, "pending": False}],
        "truncatedBodies": 1,
        "redactions": 3,
    },
}
"""Every key of every type, in the order in which it is written."""


def complete_record(kind: str, seq: int = 0) -> Record:
    """A record of that type with every key it can have."""
    envelope = {"seq": seq, "type": kind, "timestamp": f"2024-01-01T00:00:00.{seq:06d}Z"}
    return json.loads(json.dumps({**envelope, **COMPLETE[kind]}))  # a copy that shares nothing


class Recording:
    """A session in the making: records in file order, with `seq` and `timestamp` counted up."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, kind: str, identity: str | None = None, **changes: Any) -> Record:
        """A record of that type; None in `changes` leaves the key out."""
        record = complete_record(kind, len(self.records))
        if identity is not None:
            record.update({key: identity for key in ("id", "streamId", "requestId") if key in record})
        record.update(changes)
        self.records.append({key: value for key, value in record.items() if value is not None})
        return self.records[-1]

    def start(self, **changes: Any) -> Recording:
        """The first record of an ordinary session, which records every type."""
        self.add("session-started", **{"part": None, "derived": None, "events": list(COMPLETE), **changes})
        return self

    def exchange(self, identity: str = EXCHANGE, **changes: Any) -> Recording:
        """A request and its response; the changes are the response's."""
        self.add("request-initiated", identity)
        self.add("request", identity)
        self.add("response", identity, **changes)
        return self

    def end(self, **changes: Any) -> Recording:
        """The last record, with true counts."""
        counts = Counter(record["type"] for record in self.records)
        self.add("session-ended", **{"counts": {**counts, "session-ended": 1}, **changes})
        return self

    @property
    def data(self) -> bytes:
        """The session as JSON Lines."""
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in self.records]
        return "".join(f"{line}\n" for line in lines).encode()

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data)
        return path


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture(params=list(COMPLETE))
def any_record(request: pytest.FixtureRequest) -> Record:
    """A complete record, of each type in turn."""
    return complete_record(request.param)


@pytest.fixture
def record_of() -> Any:
    return complete_record
