"""`mockrec replay --serve` and the step `replay` with the real program: hermetic, and as the recorded program was."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Serving, serve
from waiting import until_there

Start = Callable[..., Any]
Make = Callable[..., Any]
Program = Callable[..., subprocess.CompletedProcess[str]]

__all__ = ["serve"]

SHOP = Path(__file__).parent / "shop"
MARK = "redacted-0123abcd"
SPY = """\
import os, sys

def spy(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["SPY_FILE"], "a") as file:
            file.write(f"{event} {args[1] if event == 'socket.connect' else args[0]}\\n")

sys.addaudithook(spy)
"""


def session_of(path: Path, *exchanges: dict[str, Any]) -> Path:
    """A session with these exchanges."""
    lines: list[dict[str, Any]] = []
    for number, given in enumerate(exchanges):
        base = {
            "id": f"00000000-0000-7000-8000-{number:012d}",
            "connectionId": "c",
            "timestamp": f"2026-01-01T00:00:{number:02d}.000000Z",
        }
        body = given.get("body", "")
        path_ = given.get("path", "/")
        head = {
            "method": given.get("method", "GET"),
            "url": f"http://{given.get('host', 'shop.test')}{path_}",
            "path": path_,
            "httpVersion": "1.1",
            "rawHeaders": [["Host", "shop.test"], *given.get("headers", [])],
        }
        lines.append({"type": "request-initiated", **base, **head})
        logged = body if isinstance(body, dict) else {"size": len(body), "text": body}
        lines.append({"type": "request", **base, **head, "body": logged})
        answer = given.get("answer", "")
        end = {"statusCode": 200, "rawHeaders": [["X-N", str(number)]], "body": {"size": len(answer), "text": answer}}
        lines.append({"type": "response", **base, **end, **given.get("end", {})})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def get(url: str, path: str = "/", **options: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.request(options.pop("method", "GET"), url + path, **options)


@pytest.fixture
def recorded_shop(recorder: Start, tmp_path: Path) -> Path:
    """A session of the shop under its own test suite; the shop has stopped."""
    port = tmp_path / "port"
    shop = subprocess.Popen([sys.executable, SHOP / "app.py", port], stdin=subprocess.DEVNULL)
    try:
        until_there(port, shop)
        run = recorder(None, "--upstream", f"http://127.0.0.1:{port.read_text(encoding='ascii')}", out="shop.jsonl")
        subprocess.run([sys.executable, SHOP / "suite.py", run.url], check=True, timeout=60)
        assert run.stop().code == 0
    finally:
        shop.kill()
        shop.wait()
    return tmp_path / "shop.jsonl"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_proxy_client_that_asks_for_the_recorder_itself_gets_its_recordings(
    tmp_path: Path, serve: Callable[..., Serving], name: str
) -> None:
    # curl and requests send what COMMAND asks of MOCKREC_URL through the proxy, and the port is new in each run.
    session = session_of(tmp_path / "a.jsonl", {"host": "127.0.0.1:1", "path": "/a", "answer": "recorded"})
    run = serve(session)
    with httpx.Client(proxy=run.url, trust_env=False, timeout=20) as proxied:
        assert proxied.get(f"http://{name}:{run.url.rpartition(':')[2]}/a").text == "recorded"
        assert proxied.get("http://127.0.0.1:2/a").status_code == 503
    code, said = run.stop()
    assert code == 0, said


@pytest.mark.parametrize("latency", ["none", "recorded"])
def test_the_test_suite_of_the_shop_passes_without_the_shop(
    recorded_shop: Path, serve: Callable[..., Serving], latency: str
) -> None:
    run = serve(recorded_shop, "--strict", "--latency", latency)
    subprocess.run([sys.executable, SHOP / "suite.py", run.url], check=True, timeout=60)
    code, said = run.stop()
    assert code == 0, said
    tags = [tag for record in run.records if record["type"] == "response" for tag in record["tags"]]
    assert len(tags) == len([tag for tag in tags if tag.startswith("replay-of:")]) == 15


def test_no_server_is_ever_asked(
    tmp_path: Path, serve: Callable[..., Serving], recorder: Start, upstream: Make
) -> None:
    spies = tmp_path / "spies"
    spies.mkdir()
    (spies / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    # The loop of the standard library, because what uvloop does is seen by no audit hook.
    spied = {"PYTHONPATH": str(spies), "SPY_FILE": str(tmp_path / "spied"), "MOCKREC_LOOP": "asyncio"}
    server = upstream()
    passing = recorder(None, out=None, env=spied)
    with httpx.Client(proxy=passing.url, trust_env=False) as proxied:
        assert proxied.get(server.url).status_code == 200
    passing.stop()
    seen = (tmp_path / "spied").read_text(encoding="utf-8")
    assert f"socket.connect ('127.0.0.1', {server.port})" in seen  # the spy sees what there is to be seen
    (tmp_path / "spied").unlink()

    host = f"127.0.0.1:{server.port}"
    session = session_of(tmp_path / "a.jsonl", {"host": host, "answer": "recorded"}, {"path": "/direct", "answer": "x"})
    run = serve(session, env=spied)
    with httpx.Client(proxy=run.url, verify=False, trust_env=False, timeout=20) as proxied:
        assert proxied.get(server.url).text == "recorded"
        assert proxied.get(f"{server.url}/other").status_code == 503
        assert proxied.get("http://elsewhere.test/").status_code == 503
        assert proxied.get(f"https://{host}/").text == "recorded"
        assert proxied.get("https://elsewhere.test/x").status_code == 503
    assert get(run.url, "/direct").text == "x"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert get(run.url, "/ws", headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}).status_code == 503
    with socket.create_connection(("127.0.0.1", run.port), 20) as raw:
        raw.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
        raw.sendall(b"SSH-2.0-nothing\r\n\r\n")
        raw.recv(1000)
    code, said = run.stop()
    assert code == 0, said
    assert len(server.requests) == 1
    assert server.accepted == 1
    # It looks its own address up once, to listen there.
    assert (tmp_path / "spied").read_text(encoding="utf-8").splitlines() == ["socket.getaddrinfo 127.0.0.1"]


def test_answers_in_order_then_the_last_and_misses_that_explain_themselves(
    tmp_path: Path, serve: Callable[..., Serving]
) -> None:
    login = {"method": "POST", "path": "/login", "headers": [["Content-Type", "application/json"]]}
    session = session_of(
        tmp_path / "a.jsonl",
        {"path": "/list?page=1", "answer": "first"},
        {"path": "/list?page=1", "answer": "second"},
        {**login, "body": json.dumps({"user": "ann", "pin": MARK}), "answer": "in"},
        {"path": "/never", "answer": "x"},
    )
    run = serve(session, "--strict")
    assert [get(run.url, "/list?page=1").text for _ in range(3)] == ["first", "second", "second"]
    assert get(run.url, "/login", method="POST", json={"pin": "1234", "user": "ann"}).text == "in"
    miss = get(run.url, "/login", method="POST", json={"user": "bob", "pin": 1})
    assert miss.status_code == 503
    assert 'json:$.user: recorded "ann", asked for "bob"' in miss.text
    assert "Nearest is POST /login" in miss.text
    page = get(run.url, "/list?page=2")
    assert 'query:page: recorded "1", asked for "2"' in page.text
    code, said = run.stop()
    assert code == 1
    assert "2 requests without a recording" in said and "POST /login" in said and "GET /list?page=2" in said
    assert "with --ignore 'json:$.user', 1 of them would match" in said
    assert "with --ignore query:page, 1 of them would match" in said
    assert "1 recording never asked for" in said and "GET /never" in said
    missed = [record for record in run.records if "replay-miss" in record.get("tags", ())]
    assert [record["statusCode"] for record in missed if record["type"] == "response"] == [503, 503]


def test_the_last_answer_may_be_the_end(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    run = serve(session_of(tmp_path / "a.jsonl", {"answer": "once"}), "--after-last", "fail")
    assert get(run.url).text == "once"
    assert "used up" in get(run.url).text


def test_what_has_to_be_the_same_can_be_said(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    accept = [["Accept", "text/html"]]
    session = session_of(
        tmp_path / "a.jsonl",
        {"path": "/a?cb=1", "headers": accept, "answer": "html"},
        {"path": "/a?cb=1", "headers": [["Accept", "application/json"]], "answer": "json"},
    )
    run = serve(session, "--match", "method,path,headers:accept")
    assert get(run.url, "/a?cb=17", headers={"Accept": "application/json"}).text == "json"
    assert get(run.url, "/a", headers={"Accept": "text/html"}).text == "html"
    assert "header:accept" in get(run.url, "/a", headers={"Accept": "x"}).text
    other = serve(session, "--ignore", "query:cb")
    assert get(other.url, "/a").status_code == 200


def test_answers_are_as_they_were(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    packed = {"size": 5, "text": "hello", "contentEncoding": "gzip", "encodedSize": 25}
    session = session_of(
        tmp_path / "a.jsonl",
        {
            "path": "/gzip",
            "end": {
                "statusCode": 201,
                "statusMessage": "Made",
                "rawHeaders": [
                    ["Date", "Thu, 01 Jan 2026 00:00:00 GMT"],
                    ["Content-Encoding", "gzip"],
                    ["Set-Cookie", "a=1"],
                    ["set-cookie", "b=2"],
                    ["Content-Length", "25"],
                    ["Connection", "keep-alive"],
                ],
                "body": packed,
            },
        },
        {"path": "/binary", "end": {"body": {"size": 3, "base64": base64.b64encode(b"\xff\x00\x01").decode()}}},
        {"path": "/head", "method": "HEAD", "end": {"rawHeaders": [["Content-Length", "77"]]}},
        {"path": "/empty", "end": {"statusCode": 204}},
        {"path": "/trailers", "answer": "x", "end": {"rawTrailers": [["X-Sum", "1"]]}},
        {"path": "/cut", "end": {"body": {"size": 9, "text": "x", "truncated": True}}},
    )
    run = serve(session)
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{run.url}/gzip") as made:
        assert gzip.decompress(b"".join(made.iter_raw())) == b"hello"
        assert (made.status_code, made.reason_phrase) == (201, "Made")
        raw = [(name.decode(), value.decode()) for name, value in made.headers.raw]
        assert raw[:4] == [
            ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Content-Encoding", "gzip"),
            ("Set-Cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]
    assert get(run.url, "/binary").content == b"\xff\x00\x01"
    assert get(run.url, "/head", method="HEAD").headers["content-length"] == "77"
    assert get(run.url, "/empty").status_code == 204
    with socket.create_connection(("127.0.0.1", run.port), 20) as sock:
        sock.sendall(b"GET /trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        said = b""
        while data := sock.recv(65536):
            said += data
    assert said.endswith(b"1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n")
    cut = get(run.url, "/cut")
    assert cut.status_code == 503 and "was cut" in cut.text


def test_latency_as_recorded(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    timing = {"startTimestamp": 0.0, "headersSentTimestamp": 150.0, "responseSentTimestamp": 300.0}
    session = session_of(tmp_path / "a.jsonl", {"answer": "slow", "end": {"timingEvents": timing}})
    run = serve(session, "--latency", "recorded")
    began = time.monotonic()
    assert get(run.url).text == "slow"
    assert time.monotonic() - began >= 0.3


def test_events_tick_as_they_came(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    timing = {"startTimestamp": 1000.0, "headersSentTimestamp": 1000.0, "responseSentTimestamp": 1300.0}
    answer = "data: 1\n\ndata: 2\n\ndata: 3\n\n"
    end = {"timingEvents": timing, "rawHeaders": [["Content-Type", "text/event-stream"]]}
    session = session_of(tmp_path / "a.jsonl", {"answer": answer, "end": end})
    run = serve(session, "--latency", "recorded", "--events", "all")
    assert get(run.url).text == answer
    run.stop()
    pieces = [one for one in run.records if one["type"] == "response-body-data" and one["content"]["size"]]
    assert [one["content"]["text"] for one in pieces] == ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]
    first, second, third = (one["eventTimestamp"] for one in pieces)
    begun = next(one for one in run.records if one["type"] == "request-initiated")["timingEvents"]["startTimestamp"]
    assert second - begun >= 150
    assert third - begun >= 300
    assert first < second < third


def test_what_was_broken_off_is_again(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    cut = {"statusCode": 200, "rawHeaders": [["Content-Length", "9"]], "body": {"size": 4, "text": "half"}}
    session = session_of(
        tmp_path / "a.jsonl",
        {"path": "/reset", "end": {"type": "abort", "error": {"code": "ECONNRESET"}}},
        {"path": "/cut", "end": {"type": "abort", "error": {"code": "ECONNRESET"}, "response": cut}},
    )
    run = serve(session)
    for path in ("/reset", "/cut"):
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            get(run.url, path)


def test_events_stay_open_where_their_client_left(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    head = {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream"},
        "rawHeaders": [["Content-Type", "text/event-stream"]],
    }
    events = "data: 1\n\ndata: 2\n\n"
    left = {"type": "abort", "response": {**head, "body": {"size": len(events), "text": events, "incomplete": True}}}
    download = {"type": "abort", "response": {**left["response"], "headers": {}}}  # type: ignore[dict-item]
    session = session_of(tmp_path / "a.jsonl", {"path": "/events", "end": left}, {"path": "/file", "end": download})
    serving = serve(session)
    with (
        httpx.Client(trust_env=False, timeout=20) as client,
        client.stream("GET", f"{serving.url}/events") as answer,
    ):
        assert answer.status_code == 200
        heard = ""
        for text in answer.iter_text():
            heard += text
            if len(heard) == len(events):
                break
        assert heard == events
    assert get(serving.url, "/file").status_code == 503
    serving.stop()
    (abort,) = [record for record in serving.records if record["type"] == "abort"]
    assert (abort["path"], "error" in abort) == ("/events", False)


def test_the_step_beside_other_rules(recorder: Start, tmp_path: Path) -> None:
    session_of(tmp_path / "a.jsonl", {"path": "/api/x", "answer": "recorded"}, {"path": "/api/y", "answer": "unused"})
    rules = """\
version: 1
rules:
  - {id: own, when: {path: /own}, then: {reply: {body: mine}}}
  - {id: tape, when: {}, then: {replay: {session: a.jsonl, match: [method, url], latency: none, afterLast: fail}}}
"""
    run = recorder(rules, "--strict")
    assert get(run.url, "/own").text == "mine"
    assert get(run.url, "/api/x").text == "recorded"
    assert get(run.url, "/api/x").status_code == 503
    session = run.stop()
    assert session.code == 1
    assert "1 request without a recording; 1 recording never asked for" in session.stderr
    assert [record["matchedRuleId"] for record in session.by_type("response")] == ["own", "tape", "tape"]


def test_http2_clients_are_served_too(recorder: Start, program: Program, tmp_path: Path, serve: Any) -> None:
    rules = "version: 1\nrules: [{when: {path: /a}, then: {reply: {body: hello, trailers: {X-Sum: 1}}}}]\n"
    run = recorder(rules, out="first.jsonl")
    with httpx.Client(http2=True, verify=False, trust_env=False) as client:
        assert client.get(f"https://127.0.0.1:{run.port}/a").text == "hello"
    run.stop()
    serving = serve(tmp_path / "first.jsonl", "--strict")
    with httpx.Client(http2=True, verify=False, trust_env=False) as client:
        answered = client.get(f"https://127.0.0.1:{serving.port}/a")
        assert (answered.http_version, answered.text) == ("HTTP/2", "hello")
    assert get(serving.url, "/a").text == "hello"
    assert serving.stop()[0] == 0


def test_websocket_messages_that_differ_are_told(recorder: Start, tmp_path: Path, serve: Any) -> None:
    lines = "[{send: hello}, {expect: one}, {send: two}, {close: {code: 4001, reason: done}}]"
    run = recorder(f"version: 1\nrules: [{{when: {{path: /ws}}, then: {{script: {lines}}}}}]\n", out="first.jsonl")
    code = (
        "import sys, websockets.sync.client as c\n"
        "with c.connect(sys.argv[1], proxy=None) as w:\n"
        "    print(w.recv()); w.send(sys.argv[2]); print(w.recv())\n"
        "    for _ in w: pass\n"
        "    print(w.close_code, w.close_reason)\n"
    )

    def talk(port: int, said: str) -> list[str]:
        argv = [sys.executable, "-c", code, f"ws://127.0.0.1:{port}/ws", said]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout.splitlines()

    recorded = talk(run.port, "one")
    assert recorded[:2] == ["hello", "two"]
    run.stop()
    serving = serve(tmp_path / "first.jsonl", "--strict")
    assert talk(serving.port, "one") == recorded
    assert talk(serving.port, "other")[:2] == ["hello", "two"]
    code_, said = serving.stop()
    assert code_ == 1 and "has said something else in its message 1" in said
    told = [record["eventData"] for record in serving.records if record["type"] == "rule-event"]
    assert [one["message"] for one in told] == ["the client has said something else in its message 1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "http://a"), "--to URL, --serve"),
        (("--match", "methd"), "--match"),
        (("--ignore", "x"), "selector"),
        (("--latency", "x"), "recorded, none"),
        (("--after-last", "x"), "repeat or fail"),
        (("--pace", "max"), "means nothing with --serve"),
    ],
)
def test_wrong_usage(program: Program, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = program("replay", session_of(tmp_path / "a.jsonl", {}), "--serve", "--port", "0", *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_session_that_cannot_be_read(program: Program, tmp_path: Path, recorder: Start) -> None:
    (tmp_path / "bad.jsonl").write_text("no session\n", encoding="utf-8")
    done = program("replay", "bad.jsonl", "--serve", "--port", "0")
    assert (done.returncode, "bad.jsonl" in done.stderr) == (2, True)
    (tmp_path / "r.yaml").write_text("version: 1\nrules: [{then: {replay: bad.jsonl}}]\n", encoding="utf-8")
    done = program("run", "r.yaml", "--port", "0", "-o", "none")
    assert (done.returncode, "r.yaml:2:" in done.stderr) == (2, True)
    assert "rules[0].then.replay" in done.stderr
