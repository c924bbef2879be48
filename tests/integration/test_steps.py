"""Every step against the real program: what the client gets, and what stands in the log."""

from __future__ import annotations

import base64
import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from waiting import until_recorded

Record = dict[str, Any]
Start = Callable[..., Any]

SECONDS = 20.0
MIB = 1024 * 1024


class Answer:
    """An answer as it was on the wire."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.status_line, *lines = head.decode("latin-1").split("\r\n")
        self.fields = [tuple(line.split(": ", 1)) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def receive_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while piece := sock.recv(65536):
        data += piece
    return bytes(data)


def ask(port: int, start: str, *headers: str, body: bytes = b"", version: str = "1.1") -> Answer:
    """One request on a connection of its own, and everything that comes back."""
    fields = [f"Host: 127.0.0.1:{port}", "Connection: close", *headers]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    with connect(port) as sock:
        sock.sendall("\r\n".join([f"{start} HTTP/{version}", *fields, "", ""]).encode("latin-1") + body)
        return Answer(receive_all(sock))


def path_of(record: Record) -> str:
    return str(record["url"].partition("//")[2].partition("/")[2])


def ends(session: Any) -> dict[str, Record]:
    """The terminal record of each path that was asked for once."""
    return {path_of(record): record for record in session.records if record["type"] in ("response", "abort")}


def body_of(record: Record) -> bytes:
    body = record["body"]
    return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()


# ── reply ──────────────────────────────────────────────────────────────────────────────────────────


def test_reply_with_every_kind_of_body(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "small.bin").write_bytes(bytes(range(256)))
    program = recorder("""
version: 1
rules:
  - {when: {path: /empty}, then: {reply: {}}}
  - {when: {path: /text}, then: {reply: {status: 201, statusMessage: Made, headers: [[X-A, "1"], [x-a, "2"]], body: hellö}}}
  - {when: {path: /json}, then: {reply: {json: {a: [1, 2.5, null, ö]}}}}
  - {when: {path: /base64}, then: {reply: {base64: AAH/}}}
  - {when: {path: /file}, then: {reply: {file: small.bin}}}
  - {when: {path: /template}, then: {reply: {template: true, headers: {X-P: "{{ request.query.p }}"}, body: "{{ request.method }} {{ count }}"}}}
""")
    port = program.port
    answers = {path: ask(port, f"GET /{path}") for path in ("empty", "text", "json", "base64", "file", "template?p=7")}
    assert {path: (answer.status, answer.body) for path, answer in answers.items()} == {
        "empty": (200, b""),
        "text": (201, "hellö".encode()),
        "json": (200, '{"a":[1,2.5,null,"ö"]}'.encode()),
        "base64": (200, b"\x00\x01\xff"),
        "file": (200, bytes(range(256))),
        "template?p=7": (200, b"GET 1"),
    }
    assert answers["text"].status_line == "HTTP/1.1 201 Made"
    assert answers["text"].fields[:2] == [("X-A", "1"), ("x-a", "2")]
    assert answers["json"].headers["content-type"] == "application/json"
    assert "content-type" not in answers["file"].headers
    assert answers["template?p=7"].headers["x-p"] == "7"
    assert all(answer.headers["content-length"] == str(len(answer.body)) for answer in answers.values())

    session = program.stop()
    for path, record in ends(session).items():
        answer = answers[path]
        assert body_of(record) == answer.body
        assert record["statusCode"] == answer.status
        assert [tuple(pair) for pair in record["rawHeaders"]] == answer.fields


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_trailers_need_chunks_and_are_told_only_where_they_were_sent(recorder: Start, version: str) -> None:
    program = recorder("""
version: 1
rules:
  - {when: {path: /reply}, then: {reply: {body: hello, trailers: {X-Sum: 7}}}}
  - {when: {path: /stream}, then: {stream: {chunks: [{data: hel}, {data: lo}], trailers: {X-Sum: 7}}}}
""")
    chunked = {
        "reply": b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
        "stream": b"3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 7\r\n\r\n",
    }
    for path, body in chunked.items():
        assert ask(program.port, f"GET /{path}", version=version).body == (body if version == "1.1" else b"hello")
    for record in ends(program.stop()).values():
        assert record["body"] == {"size": 5, "text": "hello"}
        assert record.get("trailers") == ({"x-sum": "7"} if version == "1.1" else None)


def test_answers_without_a_body(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - {when: {path: /head}, then: {reply: {body: hello}}}
  - {when: {path: /204}, then: {reply: {status: 204}}}
  - {when: {path: /304}, then: {reply: {status: 304, body: hello}}}
""")
    head, empty, cached = (ask(program.port, start) for start in ("HEAD /head", "GET /204", "GET /304"))
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert (empty.status, empty.body) == (204, b"")
    assert {"content-length", "transfer-encoding"}.isdisjoint(empty.headers)
    assert (cached.status, cached.body) == (304, b"")
    assert "transfer-encoding" not in cached.headers
    found = ends(program.stop())
    assert [found[path]["body"] for path in ("head", "204", "304")] == [{"size": 0, "text": ""}] * 3


def test_a_template_that_fails_is_a_500_and_recorded(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - id: sum
    when: {path: /sum}
    then:
      - waitForBody
      - reply:
          template: true
          body: "{{ request.json.numbers | sum }}"
""")
    assert ask(program.port, "POST /sum", body=b'{"numbers": [1, 2]}').body == b"3"
    answer = ask(program.port, "POST /sum", body=b"none")
    assert answer.status == 500
    assert b"rule sum" in answer.body
    assert b"rules.yaml:10" in answer.body
    session = program.stop()
    event = session.one("rule-event")
    assert (event["eventType"], event["ruleId"], event["eventData"]["line"]) == ("template-error", "sum", 10)
    types = [record["type"] for record in session.of(event["id"])]
    assert types == ["request-initiated", "request", "rule-event", "response"]


def test_a_file_that_is_gone_when_it_is_asked_for(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("one")
    program = recorder("version: 1\nrules:\n  - then: {reply: {file: page}}\n")
    assert ask(program.port, "GET /").body == b"one"
    (tmp_path / "page").write_text("two")
    assert ask(program.port, "GET /").body == b"two"
    (tmp_path / "page").unlink()
    answer = ask(program.port, "GET /")
    assert answer.status == 500
    assert b"No such file or directory" in answer.body
    program.stop()


def test_a_large_file_is_streamed_and_recorded_whole(recorder: Start, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096 * 3
    (tmp_path / "large").write_bytes(content)
    program = recorder("version: 1\nrules:\n  - then: {reply: {file: large}}\n")
    with connect(program.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = Answer(receive_all(sock))
    assert answer.headers["content-length"] == str(len(content))
    assert answer.body == content
    body = program.stop().one("response")["body"]
    assert body["size"] == len(content)
    assert "truncated" not in body


def test_a_body_over_the_logs_limit_is_cut_in_the_log_and_nowhere_else(recorder: Start) -> None:
    program = recorder(f"""
version: 1
record: {{maxBodySize: 100}}
rules:
  - then: {{reply: {{body: {"x" * 5000}}}}}
""")
    assert ask(program.port, "POST /", body=b"y" * 3000).body == b"x" * 5000
    session = program.stop()
    assert session.one("request")["body"] == {"size": 3000, "text": "y" * 100, "truncated": True}
    assert session.one("response")["body"] == {"size": 5000, "text": "x" * 100, "truncated": True}
    assert session.one("session-ended")["truncatedBodies"] == 2


# ── pieces ─────────────────────────────────────────────────────────────────────────────────────────


def test_chunks_come_when_they_fall_due(recorder: Start) -> None:
    program = recorder("""
version: 1
record: {events: all}
rules:
  - then: {stream: {headers: {Content-Type: text/plain}, chunks: [{data: "a,"}, {data: "b,", after: 150ms}, {data: c, after: 150ms}]}}
""")
    connection = HTTPConnection("127.0.0.1", program.port, timeout=SECONDS)
    began = time.monotonic()
    connection.request("GET", "/")
    response = connection.getresponse()
    times = []
    for expected in (b"a,", b"b,", b"c"):
        assert response.read(len(expected)) == expected
        times.append(time.monotonic() - began)
    assert response.read() == b""
    connection.close()
    assert times[0] < times[1] < times[2]
    assert times[1] >= 0.15
    assert times[2] >= 0.3
    session = program.stop()
    pieces = session.by_type("response-body-data")
    assert [(piece["content"].get("text"), piece["isEnded"]) for piece in pieces[:2]] == [("a,", False), ("b,", False)]
    assert "".join(piece["content"]["text"] for piece in pieces) == "a,b,c"
    assert [piece["isEnded"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[1]["eventTimestamp"] - pieces[0]["eventTimestamp"] >= 140
    assert session.one("response")["duration"] >= 300


def test_server_sent_events(recorder: Start) -> None:
    program = recorder(r"""
version: 1
rules:
  - then: {stream: {sse: [{event: price, data: '{"n": 1}', id: 1}, {data: "two\nlines", after: 50ms}, {event: end}]}}
""")
    events: list[dict[str, Any]] = [{}]
    with httpx.stream("GET", program.url, timeout=SECONDS) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        for line in response.iter_lines():
            if not line:
                events.append({})
                continue
            field, _, value = line.partition(":")
            events[-1].setdefault(field, []).append(value.removeprefix(" "))
    assert events[:2] == [{"event": ["price"], "data": ['{"n": 1}'], "id": ["1"]}, {"data": ["two", "lines"]}]
    assert events[2]["event"] == ["end"]
    assert program.stop().one("response")["body"]["text"].startswith("event: price\n")


# ── answers that are computed ──────────────────────────────────────────────────────────────────────


def test_json_rpc(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - {when: {jsonRpc: {method: sum}}, then: {jsonRpc: {result: {n: 3}}}}
  - {when: {jsonRpc: {}}, then: {jsonRpc: {error: {code: -32601, message: unknown}}}, priority: fallback}
  - {when: {path: /always}, then: {jsonRpc: {result: 1}}}
""")

    def call(path: str, **fields: Any) -> tuple[int, Any]:
        answer = ask(program.port, f"POST {path}", body=json.dumps(fields).encode())
        return answer.status, json.loads(answer.body) if answer.status == 200 else answer.body.decode()

    assert call("/", jsonrpc="2.0", id="x", method="sum") == (200, {"jsonrpc": "2.0", "id": "x", "result": {"n": 3}})
    error = {"code": -32601, "message": "unknown"}
    assert call("/", jsonrpc="2.0", id=None, method="no") == (200, {"jsonrpc": "2.0", "id": None, "error": error})
    status, text = call("/always", method="sum")
    assert status == 500
    assert "no JSON-RPC call" in text
    program.stop()


def test_python_steps_matchers_and_callbacks(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("""
import asyncio, json, pathlib

HEARD = pathlib.Path(__file__).parent / "heard.jsonl"

def answer(request):
    return {"status": 201, "headers": {"X-Path": request.path}, "json": {"got": request.json}}

async def later(request):
    await asyncio.sleep(0.05)
    return {"body": b"later"}

def nothing(request): return None
def close(request): return "close"
def reset(request): return "reset"
def broken(request): raise RuntimeError("on purpose")
def wrong(request): return {"stauts": 1}
def is_even(request): return int(request.params["n"]) % 2 == 0

def hear(event):
    with HEARD.open("a") as file:
        file.write(json.dumps([event.type, event.seq, getattr(event, "status_code", None)]) + "\\n")

def object_to_aborts(event):
    raise ValueError("no aborts please")
""")
    names = ("later", "nothing", "close", "reset", "broken", "wrong")
    rules = "\n".join(f'  - {{when: {{path: /{name}}}, then: {{python: "handlers.py:{name}"}}}}' for name in names)
    program = recorder(f"""
version: 1
record:
  callbacks:
    request: handlers.py:hear
    response: handlers.py:hear
    abort: handlers.py:object_to_aborts
rules:
  - {{when: {{method: POST}}, then: {{python: "handlers.py:answer"}}}}
  - {{when: {{pathTemplate: "/n/{{n}}", python: "handlers.py:is_even"}}, then: {{reply: {{body: even}}}}}}
  - {{when: {{pathTemplate: "/n/{{n}}"}}, then: {{reply: {{body: odd}}}}, times: always}}
{rules}
""")
    port = program.port
    posted = ask(port, "POST /p", body=b"[1]")
    assert (posted.status, posted.headers["x-path"], json.loads(posted.body)) == (201, "/p", {"got": [1]})
    assert [ask(port, f"GET /n/{number}").body for number in (1, 2)] == [b"odd", b"even"]
    failed = ask(port, "GET /n/x")
    assert failed.status == 500
    assert b"ValueError" in failed.body
    assert ask(port, "GET /later").body == b"later"
    nothing = ask(port, "GET /nothing")
    assert (nothing.status, b"None" in nothing.body) == (500, True)
    assert ask(port, "GET /close").data == b""
    with pytest.raises(ConnectionResetError):
        ask(port, "GET /reset")
    assert ask(port, "GET /broken").status == 500
    assert b'did you mean "status"?' in ask(port, "GET /wrong").body

    session = program.stop()
    errors = [event for event in session.by_type("rule-event") if event["eventType"] == "python-error"]
    assert [event["ruleId"] for event in errors] == ["rule-2", "rule-5", "rule-8", "rule-9"]
    assert "Traceback" in errors[2]["eventData"]["error"]["stack"]
    heard = [json.loads(line) for line in (tmp_path / "heard.jsonl").read_text().splitlines()]
    assert heard == [
        [record["type"], record["seq"], record.get("statusCode")]
        for record in session.records
        if record["type"] in ("request", "response")
    ]
    for problem in session.by_type("callback-error"):
        assert (problem["eventType"], problem["error"]["name"]) == ("abort", "ValueError")
    assert len(session.by_type("callback-error")) == len(session.by_type("abort")) == 2


# ── answers that are none ──────────────────────────────────────────────────────────────────────────


def test_close_sends_fin_and_not_a_byte(recorder: Start) -> None:
    program = recorder("version: 1\nrules:\n  - then: close\n")
    with connect(program.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert receive_all(sock) == b""
    abort = program.stop().one("abort")
    assert abort["error"]["code"] == "E_RULE_CLOSE"
    assert "response" not in abort


def test_reset_sends_rst(recorder: Start) -> None:
    program = recorder("version: 1\nrules:\n  - then: reset\n")
    with connect(program.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert program.stop().one("abort")["error"]["code"] == "E_RULE_RESET"


@pytest.mark.parametrize("leaving", ["FIN", "RST"])
def test_timeout_lasts_until_the_client_leaves(recorder: Start, leaving: str) -> None:
    program = recorder("version: 1\nrules:\n  - then: timeout\n")
    with connect(program.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        if leaving == "RST":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until_recorded(program, "abort")
    session = program.stop()
    abort = session.one("abort")
    assert "error" not in abort
    assert abort["matchedRuleId"] == "rule-1"
    assert abort["duration"] > 0
    assert session.by_type("client-error") == []


def test_malformed(recorder: Start) -> None:
    program = recorder(r"""
version: 1
rules:
  - {when: {path: /raw}, then: {malformed: {raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"}}}
  - {when: {path: /junk}, then: {malformed: {base64: AAECA/8=}}}
  - {when: {path: /cut}, then: {malformed: {truncateAfter: 4, status: 203, headers: {X: y}, body: 0123456789}}}
  - {when: {path: /lie}, then: {malformed: {truncateAfter: 4, headers: {Content-Length: 3}, body: "0123456789"}}}
""")
    port = program.port
    assert ask(port, "GET /raw").data == b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    assert ask(port, "GET /junk").data == b"\x00\x01\x02\x03\xff"
    cut, lie = ask(port, "GET /cut"), ask(port, "GET /lie")
    assert (cut.status, cut.headers["x"], cut.headers["content-length"], cut.body) == (203, "y", "10", b"0123")
    assert (lie.headers["content-length"], lie.body) == ("3", b"0123")
    found = ends(program.stop())
    assert {record["type"] for record in found.values()} == {"abort"}
    assert {record["error"]["code"] for record in found.values()} == {"E_RULE_MALFORMED"}
    assert found["raw"]["response"]["body"] == {"size": 9, "text": "only this", "incomplete": True}
    assert "response" not in found["junk"]
    assert found["cut"]["response"]["statusCode"] == 203
    assert found["cut"]["response"]["body"] == {"size": 4, "text": "0123", "incomplete": True}


# ── before the answer ──────────────────────────────────────────────────────────────────────────────


def test_delays_are_never_shorter_than_asked(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - {when: {path: /fixed}, then: [{delay: 120ms}, {reply: {}}]}
  - {when: {path: /uniform}, then: [{delay: {uniform: [60ms, 90ms]}}, {reply: {}}]}
  - {when: {path: /lognormal}, then: [{delay: {lognormal: {median: 20ms, sigma: 0.2}}}, {reply: {}}]}
""")
    taken = {}
    for path in ("fixed", "uniform", "lognormal"):
        began = time.monotonic()
        assert ask(program.port, f"GET /{path}").status == 200
        taken[path] = time.monotonic() - began
    assert taken["fixed"] >= 0.12
    assert taken["uniform"] >= 0.06
    found = ends(program.stop())
    assert found["fixed"]["duration"] >= 120
    assert found["uniform"]["duration"] >= 60
    assert 0 < found["lognormal"]["duration"] < 5000


def test_wait_for_body_answers_when_the_request_is_complete(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - {when: {path: /wait}, then: [waitForBody, {reply: {body: whole}}]}
  - {when: {path: /early}, then: {reply: {body: early}}}
""")
    for path, answers_early in (("wait", False), ("early", True)):
        with connect(program.port) as sock:
            sock.sendall(f"POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab".encode())
            sock.settimeout(SECONDS if answers_early else 0.2)
            if answers_early:
                assert sock.recv(65536).endswith(b"early")
            else:
                with pytest.raises(TimeoutError):
                    sock.recv(1)
                sock.settimeout(SECONDS)
            sock.sendall(b"cd")
            if not answers_early:
                assert sock.recv(65536).endswith(b"whole")
        until_recorded(program, "request", 1 + answers_early)
    session = program.stop()
    types = {
        path_of(request): [record["type"] for record in session.of(request["id"])]
        for request in session.by_type("request")
    }
    assert types == {
        "wait": ["request-initiated", "request", "response"],
        "early": ["request-initiated", "response", "request"],
    }
    assert all(request["body"] == {"size": 4, "text": "abcd"} for request in session.by_type("request"))


def test_interim_answers(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - when: {}
    then:
      - informational: {status: 103, headers: {Link: "</a.css>; rel=preload"}}
      - informational: {status: 102}
      - reply: {body: done}
""")
    data = ask(program.port, "GET /").data
    first, second, rest = data.split(b"\r\n\r\n", 2)
    assert first == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload"
    assert second == b"HTTP/1.1 102 Processing"
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert ask(program.port, "GET /", version="1.0").status == 200
    session = program.stop()
    told = session.by_type("response-information")
    assert [record["statusCode"] for record in told] == [103, 102]
    assert told[0]["headers"] == {"link": "</a.css>; rel=preload"}
    types = [record["type"] for record in session.of(told[0]["id"])]
    assert types == ["request-initiated", "request", "response-information", "response-information", "response"]


def test_100_continue_comes_before_the_body(recorder: Start) -> None:
    program = recorder("version: 1\nrules:\n  - then: [waitForBody, {reply: {body: done}}]\n")
    with connect(program.port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ab")
        assert sock.recv(65536).endswith(b"done")
    session = program.stop()
    assert session.one("response-information")["statusCode"] == 100
    assert session.one("request")["body"]["text"] == "ab"


# ── telling others ─────────────────────────────────────────────────────────────────────────────────


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    posts: queue.Queue[tuple[str, Record]]
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.posts.put((self.path, json.loads(body)))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def hook() -> Iterator[ThreadingHTTPServer]:
    Hook.posts = queue.Queue()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_webhooks(recorder: Start, hook: ThreadingHTTPServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens there as long as it is ours
        nobody = unused.getsockname()[1]
        program = recorder(f"""
version: 1
rules:
  - id: hooked
    when: {{path: /hooked}}
    then: [{{webhook: {{url: "http://127.0.0.1:{hook.server_port}/h?a=b"}}}}, {{reply: {{status: 202, body: hi}}}}]
  - id: unheard
    when: {{path: /unheard}}
    then: [{{webhook: {{url: "http://127.0.0.1:{nobody}/", events: [request]}}}}, {{reply: {{}}}}]
""")
        assert ask(program.port, "POST /hooked?q", body=b"\xffit").status == 202
        posts = [Hook.posts.get(timeout=SECONDS) for _ in range(2)]
        assert ask(program.port, "GET /unheard").status == 200
        session = program.stop()
    assert [path for path, _ in posts] == ["/h?a=b", "/h?a=b"]
    data = {body["eventType"]: body["eventData"] for _, body in posts}
    identity = ends(session)["hooked?q"]["id"]
    assert data["request"]["id"] == data["response"]["id"] == identity
    assert data["request"]["method"] == "POST"
    assert data["request"]["url"] == f"{program.url}/hooked?q"
    assert base64.b64decode(data["request"]["body"]["data"]) == b"\xffit"
    assert data["response"]["statusCode"] == 202
    assert base64.b64decode(data["response"]["body"]["data"]) == b"hi"
    event = session.one("rule-event")
    assert (event["eventType"], event["ruleId"]) == ("webhook-error", "unheard")
    assert event["eventData"]["webhookEventType"] == "request"
    assert event["eventData"]["error"]["code"] == "ECONNREFUSED"


def test_a_webhook_to_ourselves_does_not_loop(recorder: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tried:
        port = tried.getsockname()[1]
    program = recorder(
        f"version: 1\nrules:\n  - then: [{{webhook: {{url: 'http://127.0.0.1:{port}/hook'}}}}, {{reply: {{}}}}]\n",
        "--port",
        str(port),
    )
    assert ask(port, "GET /").status == 200
    until_recorded(program, "response", 3)
    session = program.stop()
    assert sorted(record["method"] + " " + record["path"] for record in session.by_type("request")) == [
        "GET /", "POST /hook", "POST /hook",
    ]  # fmt: skip
    assert session.by_type("rule-event") == []


def test_emit(recorder: Start) -> None:
    program = recorder("""
version: 1
rules:
  - id: order
    when: {method: POST}
    then:
      - emit: {type: "order-{{ request.method }}", data: {item: "{{ request.json.item }}", n: 3, none: null}}
      - reply: {}
""")
    ask(program.port, "POST /", body=b'{"item": "book"}')
    ask(program.port, "POST /", body=b"{}")
    first, second = program.stop().by_type("rule-event")
    assert (first["eventType"], first["eventData"]) == ("order-POST", {"item": "book", "n": 3, "none": None})
    assert second["eventType"] == "template-error"


# ── CORS ───────────────────────────────────────────────────────────────────────────────────────────


def test_cors(recorder: Start) -> None:
    program = recorder("""
version: 1
server: {cors: {origins: ["http://app.test"], credentials: true, maxAge: 600}}
rules:
  - {when: {path: /a}, then: {reply: {body: a}}}
  - {when: {method: OPTIONS}, then: {reply: {body: options}}}
""")
    origin = "Origin: http://app.test"
    asks = ("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-a")
    preflight = ask(program.port, "OPTIONS /a", origin, *asks)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "http://app.test"
    assert "PUT" in preflight.headers["access-control-allow-methods"].split(", ")
    assert preflight.headers["access-control-allow-headers"] == "x-a"
    assert preflight.headers["access-control-max-age"] == "600"
    plain = ask(program.port, "GET /a", origin)
    assert plain.headers["access-control-allow-origin"] == "http://app.test"
    assert plain.headers["access-control-allow-credentials"] == "true"
    other = ask(program.port, "GET /a", "Origin: http://other.test")
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "Origin"
    assert "vary" not in ask(program.port, "GET /a").headers
    unmatched = ask(program.port, "GET /none", origin)
    assert (unmatched.status, unmatched.headers["access-control-allow-origin"]) == (503, "http://app.test")
    assert ask(program.port, "OPTIONS /b", origin).body == b"options"
    session = program.stop()
    first = session.by_type("response")[0]
    assert first["headers"]["access-control-allow-origin"] == "http://app.test"
    assert "matchedRuleId" not in first
