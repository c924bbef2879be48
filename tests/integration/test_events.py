"""What the log promises (docs/events.md, "What you can rely on"), and what it says of clients that break the rules."""

from __future__ import annotations

import base64
import gzip
import itertools
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until_recorded

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
RULES = """
version: 1
record: {events: all}
rules:
  - {when: {path: /hello}, then: {reply: {headers: {Content-Type: text/plain}, body: "Hello\\n"}}}
  - {when: {path: /close}, then: close}
  - {when: {path: /timeout}, then: timeout}
  - {when: {path: /slow}, then: [{delay: 150ms}, {reply: {body: slow}}]}
  - {when: {path: /stream}, then: {stream: {chunks: [{data: a}, {data: b}], trailers: {X-Sum: 2}}}}
  - {when: {path: /wait}, then: [waitForBody, {reply: {body: whole}}]}
  - {when: {path: /emit}, then: [{emit: {type: seen, data: {n: "{{ count }}"}}}, {informational: {status: 103}}, {reply: {}}]}
"""
SHORT = """
version: 1
server: {timeouts: {head: 250ms, bodyIdle: 250ms, keepAlive: 250ms}}
rules: [{when: {path: /wait}, then: [waitForBody, {reply: {}}]}, {then: {reply: {body: ok}}}]
"""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def receive_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while piece := sock.recv(65536):
        data += piece
    return bytes(data)


def receive_until(sock: socket.socket, end: bytes) -> bytes:
    data = bytearray()
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, bytes(data)
        data += piece
    return bytes(data)


def talk(port: int, *data: bytes) -> bytes:
    """Send, and read until the recorder ends the connection."""
    with connect(port) as sock:
        for piece in data:
            sock.sendall(piece)
        return receive_all(sock)


def request(path: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: mock.test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def types(session: Any, identity: str) -> list[str]:
    return [record["type"] for record in session.of(identity)]


def raw_head(record: Record) -> bytes:
    raw = record["request"]["rawHead"]
    return base64.b64decode(raw["base64"]) if "base64" in raw else raw["text"].encode()


CLOSING = "Connection: close"


# ── guarantees ─────────────────────────────────────────────────────────────────────────────────────


def traffic(port: int) -> None:
    """A bit of everything."""
    talk(port, request("/hello", CLOSING))
    talk(port, request("/hello") + request("/stream") + request("/emit") + request("/none", CLOSING))
    talk(port, request("/wait", CLOSING, method="POST", body=b"body"))
    talk(port, request("/wait", CLOSING, "Content-Encoding: gzip", method="POST", body=gzip.compress(b"zip", mtime=0)))
    talk(port, request("/close"))
    talk(port, request("/hello", CLOSING, method="HEAD"))
    talk(port, b"junk\r\n\r\n")
    talk(port, request("/chat", "Connection: Upgrade, close", "Upgrade: websocket"))


def test_every_exchange_begins_and_ends_once(recorder: Start) -> None:
    """Guarantees 1, 2, 7: the first record, the terminal one, the order of each connection."""
    program = recorder(RULES)
    for _ in range(3):
        traffic(program.port)
    session = program.stop()  # its audit looks at every guarantee of a log
    identities = {
        record["id"] for record in session.records if record["type"] in ("request-initiated", "websocket-request")
    }
    assert len(identities) == 3 * 10
    for identity in identities:
        kinds = types(session, identity)
        assert kinds[0] in ("request-initiated", "websocket-request")
        assert sum(kind in ("response", "abort") for kind in kinds) == 1
        assert kinds[-1] in ("response", "abort")
    for connection in {record["connectionId"] for record in session.records if "connectionId" in record}:
        stamps = [record["timestamp"] for record in session.records if record.get("connectionId") == connection]
        assert stamps == sorted(stamps)
    assert [record["seq"] for record in session.records] == list(range(len(session.records)))
    assert session.records[0]["type"] == "session-started"
    assert session.records[-1]["type"] == "session-ended"


def test_what_causes_something_is_written_before_it(recorder: Start) -> None:
    program = recorder(RULES)
    talk(program.port, request("/emit", CLOSING, method="POST", body=b"x"))
    session = program.stop()
    assert types(session, session.one("request")["id"]) == [
        "request-initiated", "request-body-data", "request", "rule-event", "response-information",
        "response-initiated", "response-body-data", "response",
    ]  # fmt: skip


def test_what_is_open_at_the_end_is_aborted_and_recorded(recorder: Start) -> None:
    """Guarantees 2 to 4: nothing that a client saw is missing after a clean stop."""
    program = recorder(RULES, "--grace", "100ms")
    answers = [talk(program.port, request("/hello", CLOSING)) for _ in range(20)]
    with connect(program.port) as silent, connect(program.port) as half:
        silent.sendall(request("/timeout"))
        half.sendall(request("/wait", method="POST", body=b"abcd")[:-2])
        until_recorded(program, "request-initiated", 22)
        session = program.stop()
    assert all(answer.endswith(b"Hello\n") for answer in answers)
    assert len(session.by_type("response")) == 20
    aborts = {record["path"]: record for record in session.by_type("abort")}
    assert set(aborts) == {"/timeout", "/wait"}
    assert aborts["/wait"]["requestBody"] == {"size": 2, "text": "ab", "incomplete": True}
    assert session.records[-1]["counts"]["abort"] == 2


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_bytes_of_a_body_are_exact(recorder: Start, encoding: str) -> None:
    """Guarantee 5."""
    program = recorder(RULES)
    bodies = [b"", b"text \xc3\xb6\r\n\x00", bytes(range(256)) * 5, b"\xff", random.Random(1).randbytes(300_000)]
    for body in bodies:
        wire = gzip.compress(body) if encoding == "gzip" else body
        data = request("/wait", CLOSING, f"Content-Encoding: {encoding}", method="POST", body=wire)
        assert talk(program.port, data).endswith(b"whole")
    session = program.stop()
    for body, record in zip(bodies, session.by_type("request"), strict=True):
        logged = record["body"]
        kept = session.content(logged)
        assert (kept, logged["size"]) == (body, len(body))
        assert {"truncated", "undecodable", "incomplete"}.isdisjoint(logged)
        assert logged.get("contentEncoding") == ("gzip" if encoding == "gzip" else None)


_VARYING = frozenset(
    (
        "timestamp",
        "id",
        "connectionId",
        "requestId",
        "exchangeId",
        "remotePort",
        "timingEvents",
        "duration",
        "eventTimestamp",
    )
)


def without_marks(value: Any) -> Any:
    """A record but for times, ports, ids and `Date`."""
    if isinstance(value, dict):
        return {key: without_marks(item) for key, item in value.items() if key not in _VARYING | {"date"}}
    if isinstance(value, list):
        return [without_marks(item) for item in value if not (isinstance(item, list) and item[:1] == ["Date"])]
    return value


def test_the_same_requests_give_the_same_records(recorder: Start, tmp_path: Path) -> None:
    """Guarantee 6."""
    rules = tmp_path / "same.yaml"
    rules.write_text(RULES, encoding="utf-8")
    logs = []
    for number in range(2):
        program = recorder(rules, out=f"{number}.jsonl")
        traffic(program.port)
        logs.append([without_marks(record) for record in program.stop().records[1:]])
    for first, second in zip(*logs, strict=True):
        assert first == second
    assert len(logs[0]) > 40


# ── client errors ──────────────────────────────────────────────────────────────────────────────────

HOST = b"Host: a\r\n"
FAULTS = [
    ("HPE_INVALID_METHOD", b"get / HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("HPE_INVALID_METHOD", b"FE(TCH / HTTP/1.1\r\n\r\n"),
    ("HPE_INVALID_METHOD", b"\x05\x01\x00"),
    ("HPE_INVALID_VERSION", b"GET / HTTP/0\r\n\r\n"),
    ("HPE_INVALID_VERSION", b"GET / HTTP/3.0\r\n\r\n"),
    ("HPE_INVALID_VERSION", b"GET / HTTP/1.9x\r\n\r\n"),
    ("HPE_INVALID_VERSION", b"GET / HTTP/1.1\nHost: a\n\n"),
    ("HPE_INVALID_URL", b"GET /\x01 HTTP/1.1\r\n\r\n"),
    ("HPE_INVALID_URL", b"GET /\xc3 HTTP/1.1\r\n\r\n"),
    ("HPE_INVALID_URL", b"GET mock.test:80 HTTP/1.1\r\n\r\n"),
    ("HPE_INVALID_CONSTANT", b"GET /a b HTTP/1.1\r\n\r\n"),
    ("HPE_INVALID_HEADER_TOKEN", b"GET / HTTP/1.1\r\nHost: a\r\nb c: d\r\n\r\n"),
    ("HPE_INVALID_HEADER_TOKEN", b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
    ("HPE_INVALID_HEADER_TOKEN", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n"),
    ("HPE_INVALID_HEADER_TOKEN", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n"),
    ("HPE_INVALID_CONTENT_LENGTH", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
    ("HPE_INVALID_CONTENT_LENGTH", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    ("HPE_UNEXPECTED_CONTENT_LENGTH", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
    (
        "HPE_INVALID_TRANSFER_ENCODING",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    ("HPE_INVALID_TRANSFER_ENCODING", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("HPE_HEADER_OVERFLOW", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000 + b"\r\n\r\n"),
    ("ERR_INVALID_URL", b"GET / HTTP/1.1\r\nHost: a^1:2\r\n\r\n"),
    ("ERR_INVALID_URL", b"GET / HTTP/1.1\r\n\r\n"),
    ("ERR_INVALID_URL", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("PREPROCESSING_FAILED", b"GET / HTTP/1.1\r\nHost: a:port\r\n\r\n"),
    ("PREPROCESSING_FAILED", b"GET http://a:port/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("PREPROCESSING_FAILED", b"CONNECT mock.test:66666 HTTP/1.1\r\nHost: mock.test:66666\r\n\r\n"),
]
LINES = {
    "HPE_HEADER_OVERFLOW": "HTTP/1.1 431 Request Header Fields Too Large",
}


def test_each_fault_has_its_code_and_its_answer(recorder: Start) -> None:
    program = recorder("version: 1\nserver: {limits: {head: 4KiB}}\nrules: [{then: {reply: {}}}]\n")
    answers = [talk(program.port, data) for _, data in FAULTS]
    session = program.stop()
    errors = session.by_type("client-error")
    for (code, data), answer, record in zip(FAULTS, answers, errors, strict=True):
        line = LINES.get(code, "HTTP/1.1 400 Bad Request")
        assert record["errorCode"] == code, data
        status, reason = line.split(" ", 2)[1:]
        why = record["errorMessage"]
        text = f"mockrec refused this request: {status} {reason} ({code})\n\n{why[0].upper()}{why[1:]}.\n"
        assert "b'" not in why
        assert record["response"]["body"] == {"size": len(text.encode()), "text": text}
        head = f"{line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text.encode())}\r\n"
        assert answer == f"{head}Connection: close\r\n\r\n{text}".encode(), data
        assert record["request"]["id"] == record["response"]["id"] == record["id"]
        assert record["response"]["statusCode"] == int(status)
        assert record["response"]["statusMessage"] == reason
        assert record["response"]["rawHeaders"][-1] == ["Connection", "close"]
        tags = [f"client-error:{code}"] + ["header-overflow"] * (code == "HPE_HEADER_OVERFLOW")
        assert record["response"]["tags"] == record["request"]["tags"] == tags
        assert data.startswith(raw_head(record))
        assert len(raw_head(record)) == min(len(data), 4096)
        assert record["request"]["remoteIpAddress"] == "127.0.0.1"
        assert {"exchangeId", "aborted"}.isdisjoint(record)
    assert not {"request", "request-initiated", "response", "abort"} & {record["type"] for record in session.records}
    assert errors[-1]["request"]["method"] == "CONNECT"
    assert errors[4]["request"].items() >= {"method": "GET", "path": "/", "httpVersion": "3.0"}.items()


def test_refusals_are_told_on_stderr_once_each_and_not_without_end(recorder: Start) -> None:
    program = recorder("version: 1\nrules: [{then: {reply: {}}}]\n")
    for number in range(30):
        for _ in range(2):
            talk(program.port, b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x%d\r\n\r\n" % number)
    session = program.stop()
    lines = [line for line in session.stderr.splitlines() if "refused" in line]
    assert len(session.by_type("client-error")) == 60
    assert len(lines) == 21 and len(set(lines)) == 21
    assert lines[0].endswith(
        'refused a request with 400 (HPE_INVALID_CONTENT_LENGTH): Content-Length is "x0"; expected digits that are a number'
    )
    assert lines[-1].endswith("more requests were refused; the log has all of them (client-error)")


def test_a_chunk_that_is_broken_ends_its_exchange_too(recorder: Start) -> None:
    program = recorder(RULES)
    data = request("/wait", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\nxyz\r\n"
    assert talk(program.port, data).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    session = program.stop()
    error, abort = session.one("client-error"), session.one("abort")
    assert error["errorCode"] == "HPE_INVALID_CHUNK_SIZE"
    assert error["exchangeId"] == abort["id"] != error["id"]
    assert error["seq"] < abort["seq"]
    assert abort["requestBody"] == {"size": 2, "text": "ab", "incomplete": True}
    assert "request" not in types(session, abort["id"])


@pytest.mark.parametrize("leaving", ["FIN", "RST"])
@pytest.mark.parametrize("where", ["head", "body", "chunk"])
def test_a_client_that_leaves_in_the_middle(recorder: Start, leaving: str, where: str) -> None:
    program = recorder(RULES)
    data = {
        "head": b"POST /wait HTTP/1.1\r\nHost: a\r\nX",
        "body": request("/wait", method="POST", body=b"abcd")[:-2],
        "chunk": request("/wait", "Transfer-Encoding: chunked", method="POST") + b"4\r\nab",
    }[where]
    with connect(program.port) as sock:
        sock.sendall(data)
        if where != "head":
            until_recorded(program, "request-initiated")
        if leaving == "RST":
            if where == "head":  # a reset takes with it what has not been read yet, so be sure that it was
                talk(program.port, request("/hello", CLOSING))
            reset(sock)
        else:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
    until_recorded(program, "client-error")
    session = program.stop()
    error = session.one("client-error")
    assert error["errorCode"] == ("HPE_INVALID_EOF_STATE" if leaving == "FIN" else "ECONNRESET")
    assert error["aborted"] is True
    assert "response" not in error
    if where == "head":
        assert raw_head(error) == data
        assert session.by_type("abort") == []
        return
    abort = session.one("abort")
    assert error["exchangeId"] == abort["id"]
    assert abort["error"]["code"] == error["errorCode"]
    assert abort["requestBody"] == {"size": 2, "text": "ab", "incomplete": True}
    assert types(session, abort["id"])[0] == "request-initiated"
    assert "request" not in types(session, abort["id"])


@pytest.mark.parametrize("leaving", ["FIN", "RST"])
def test_a_connection_that_says_nothing_leaves_nothing(recorder: Start, leaving: str) -> None:
    program = recorder(RULES)
    with connect(program.port) as sock:
        if leaving == "RST":
            reset(sock)
    talk(program.port, request("/hello", CLOSING))
    session = program.stop()
    assert {record.get("connectionId") for record in session.records} == {None, session.one("response")["connectionId"]}
    assert session.by_type("client-error") == []


# ── time ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"GET /wait HT"], ids=["silent", "slow"])
def test_a_head_that_takes_too_long(recorder: Start, data: bytes) -> None:
    program = recorder(SHORT)
    began = time.monotonic()
    answer = talk(program.port, data)
    assert time.monotonic() - began >= 0.25
    session = program.stop()
    if not data:
        assert answer == b""
        assert session.by_type("client-error") == []
        return
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and b"mockrec refused this request" in answer
    error = session.one("client-error")
    assert error["errorCode"] == "ERR_HTTP_REQUEST_TIMEOUT"
    assert error["response"]["statusCode"] == 408
    assert raw_head(error) == data


def test_a_body_that_takes_too_long(recorder: Start) -> None:
    program = recorder(SHORT)
    answer = talk(program.port, request("/wait", method="POST", body=b"abcd")[:-2])
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and b"mockrec refused this request" in answer
    session = program.stop()
    abort = session.one("abort")
    assert abort["error"]["code"] == session.one("client-error")["errorCode"] == "ERR_HTTP_REQUEST_TIMEOUT"
    assert session.one("client-error")["exchangeId"] == abort["id"]


def test_a_body_that_keeps_coming_is_not_too_late(recorder: Start) -> None:
    program = recorder(SHORT)
    data = request("/wait", CLOSING, method="POST", body=b"x" * 8)
    with connect(program.port) as sock:
        sock.sendall(data[:-8])
        began = time.monotonic()
        while time.monotonic() - began < 0.6:  # longer than the limit, in steps that are shorter
            if data:
                sock.sendall(b"x")
                data = data[:0]
                sent = 1
            elif sent < 7:
                sock.sendall(b"x")
                sent += 1
            time.sleep(0.1)
        sock.sendall(b"x" * (8 - sent))
        assert receive_all(sock).startswith(b"HTTP/1.1 200 OK")
    assert program.stop().by_type("client-error") == []


def test_a_connection_that_is_kept_alive_for_nothing(recorder: Start) -> None:
    program = recorder(SHORT)
    with connect(program.port) as sock:
        sock.sendall(request("/"))
        receive_until(sock, b"ok")
        began = time.monotonic()
        assert receive_all(sock) == b""
        assert time.monotonic() - began >= 0.2
    session = program.stop()
    assert session.by_type("client-error") == []
    assert len(session.by_type("response")) == 1


# ── connections ────────────────────────────────────────────────────────────────────────────────────


def test_pipelined_requests_are_answered_in_order(recorder: Start) -> None:
    program = recorder(RULES)
    paths = ["/hello", "/slow", "/none", "/stream", "/hello"]
    data = b"".join(request(path) for path in paths) + request("/hello", CLOSING)
    answer = talk(program.port, data)
    marks = [b"Hello\n", b"slow", b"No rule matches", b"1\r\na", b"Hello\n", b"Hello\n"]
    places = list(itertools.accumulate(marks, lambda place, mark: answer.index(mark, place) + 1, initial=0))
    assert places == sorted(places)
    session = program.stop()
    assert [record["path"] for record in session.by_type("request-initiated")] == [*paths, "/hello"]
    assert len({record["connectionId"] for record in session.by_type("response")}) == 1
    order = [record["id"] for record in session.records if record["type"] in ("request-initiated", "response")]
    assert order[::2] == order[1::2]


def test_more_connections_than_may_be(recorder: Start) -> None:
    program = recorder("version: 1\nserver: {limits: {connections: 2}}\nrules: [{then: {reply: {body: ok}}}]\n")
    with connect(program.port) as first, connect(program.port) as second:
        for sock in (first, second):
            sock.sendall(request("/"))
            receive_until(sock, b"ok")
        with connect(program.port) as third:
            answer = receive_all(third)
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n") and b"server.limits.connections" in answer
        first.sendall(request("/", CLOSING))
        assert receive_all(first).endswith(b"ok")
    session = program.stop()
    error = session.one("client-error")
    assert (error["errorCode"], error["response"]["statusCode"]) == ("ERR_TOO_MANY_CONNECTIONS", 503)
    assert len(session.by_type("response")) == 3


@pytest.mark.parametrize("ending", ["whole", "broken", "gone"])
def test_an_answer_may_come_before_the_end_of_its_request(recorder: Start, ending: str) -> None:
    program = recorder(RULES)
    with connect(program.port) as sock:
        sock.sendall(request("/hello", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\n")
        receive_until(sock, b"Hello\n")
        if ending == "whole":
            sock.sendall(b"2\r\ncd\r\n0\r\n\r\n" + request("/hello", CLOSING))
            assert receive_all(sock).endswith(b"Hello\n")
        elif ending == "broken":
            sock.sendall(b"zz\r\n")
            assert receive_all(sock) == b""
        else:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
    session = program.stop()
    identity = session.by_type("response")[0]["id"]
    kinds = types(session, identity)
    if ending == "whole":
        assert kinds.index("response") < kinds.index("request")
        assert session.by_type("request")[0]["body"] == {"size": 4, "text": "abcd"}
        assert len(session.by_type("response")) == 2
    else:
        assert "request" not in kinds
        assert "abort" not in kinds
        error = session.one("client-error")
        assert error["exchangeId"] == identity
        assert error["aborted"] is True


def test_an_upgrade_to_websocket_is_refused(recorder: Start) -> None:
    program = recorder(RULES)
    data = request("/hello", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    with connect(program.port) as sock:
        sock.sendall(data)
        answer = receive_until(sock, b"\n")
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    session = program.stop()
    told = session.one("websocket-request")
    assert (told["protocol"], told["url"]) == ("ws", "ws://mock.test/hello")
    kinds = types(session, told["id"])
    assert (kinds[0], kinds[-1]) == ("websocket-request", "response")
    assert session.one("response")["statusCode"] == 503
    assert session.by_type("request-initiated") == []


def test_a_rule_can_close_an_upgrade(recorder: Start) -> None:
    program = recorder(RULES)
    assert talk(program.port, request("/close", "Connection: Upgrade", "Upgrade: websocket")) == b""
    session = program.stop()
    assert session.one("abort")["error"]["code"] == "E_RULE_CLOSE"
    assert types(session, session.one("abort")["id"])[0] == "websocket-request"


def test_an_absolute_target_names_another_host(recorder: Start) -> None:
    program = recorder("""
version: 1
rules: [{when: {host: "other.test:81"}, then: {reply: {body: other}}}]
""")
    data = (
        b"GET http://other.test:81/a/../b?q HTTP/1.1\r\nHost: mock.test\r\nProxy-Connection: x\r\n" + CLOSING.encode()
    )
    assert talk(program.port, data + b"\r\n\r\n").endswith(b"other")
    session = program.stop()
    told = session.one("request")
    assert told["url"] == "http://other.test:81/a/../b?q"
    assert told["path"] == "/a/../b?q"
    assert told["destination"] == {"hostname": "other.test", "port": 81}
    assert told["headers"] == {"host": "mock.test", "connection": "close"}
    assert session.one("response")["host"] == "other.test:81"


def test_http_1_0_ends_with_its_answer(recorder: Start) -> None:
    program = recorder(RULES)
    answer = talk(program.port, b"GET /hello HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nHello\n")
    assert talk(program.port, b"GET /stream HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nab")
    session = program.stop()
    assert [record["httpVersion"] for record in session.by_type("request")] == ["1.0", "1.0"]
    assert session.by_type("request")[0]["url"] == f"http://localhost:{program.port}/hello"
