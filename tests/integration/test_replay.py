"""`mockrec replay --to` with the real program: what servers get, what is recorded, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from audited import read
from replay_sessions import session_of
from waiting import until_there

from mockrec.formats.schema.body import Body

Start = Callable[..., Any]
Make = Callable[..., Any]
Program = Callable[..., subprocess.CompletedProcess[str]]

SHOP = Path(__file__).parent / "shop"
VOLATILE = ("host", "sec-websocket-key")
MARK = "redacted-0123abcd"


def of_type(records: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] in kinds]


class Shop:
    """The web shop as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> str:
        """Begin anew; where it listens."""
        self.stop()
        port = self.folder / "port"
        port.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, SHOP / "app.py", port], stdin=subprocess.DEVNULL)
        until_there(port, self.process)
        self.url = f"http://127.0.0.1:{port.read_text(encoding='ascii')}"
        return self.url

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    running = Shop(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def recorded_shop(shop: Shop, recorder: Start, tmp_path: Path) -> Path:
    """A session of the shop under its own test suite."""
    url = shop.start()
    run = recorder(None, "--upstream", url, "--redact", "none", out="shop.jsonl")
    subprocess.run([sys.executable, SHOP / "suite.py", run.url], check=True, timeout=60)
    assert run.stop().code == 0
    return tmp_path / "shop.jsonl"


def story(records: list[dict[str, Any]], *, by_tag: bool) -> dict[str, list[Any]]:
    """What was answered to each request, and said on each WebSocket, without what changes from run to run."""
    found: dict[str, list[Any]] = {}
    names: dict[str, str] = {}
    for record in records:
        identity = record.get("id", "")
        if record["type"] in ("request", "websocket-request"):
            tag = next((tag for tag in record["tags"] if tag.startswith("replay-of:")), "")
            names[identity] = tag.removeprefix("replay-of:") if by_tag else identity
            found[names[identity]] = [record["method"], record["path"], record["body"]]
            found[names[identity]].append(
                sorted([name.lower(), value] for name, value in record["rawHeaders"] if name.lower() not in VOLATILE)
            )
        elif record["type"] == "response":
            headers = {name: value for name, value in record["headers"].items() if name != "date"}
            found[names[identity]].append((record["statusCode"], headers, record["body"]))
        elif record["type"].startswith("websocket-message"):
            found[names[identity]].append((record["direction"], record["content"], record["isBinary"]))
        elif record["type"] == "websocket-close":
            found[names[identity]].append((record.get("closeCode"), record["closeReason"], record["initiator"]))
    return found


@pytest.mark.parametrize("pace", ["original", "max", "400/s"])
def test_a_shop_answers_a_replay_as_it_answered_its_test_suite(
    recorded_shop: Path, shop: Shop, program: Program, tmp_path: Path, pace: str
) -> None:
    url = shop.start()
    done = program("replay", recorded_shop, "--to", url, "--pace", pace, "-o", "again.jsonl", "--redact", "none")
    assert done.returncode == 0, done.stderr
    again, before = read(tmp_path / "again.jsonl"), read(recorded_shop)
    assert story(again, by_tag=True) == story(before, by_tag=False)
    started = again[0]
    assert started["replay"] == {
        "of": before[0]["sessionId"],
        "from": str(recorded_shop),
        "to": [url],
        "pace": pace,
    }
    assert {record["destination"]["port"] for record in of_type(again, "request")} == {int(url.rpartition(":")[2])}


def test_dead_servers(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    server.close()
    session = session_of(tmp_path / "a.jsonl", {}, {"path": "/b", "method": "POST", "body": "x"})
    done = program("replay", session, "--to", server.url, "-o", "b.jsonl")
    assert done.returncode == 1
    assert "2 requests failed" in done.stderr and "ECONNREFUSED" in done.stderr
    records = read(tmp_path / "b.jsonl")
    assert [record["error"]["code"] for record in of_type(records, "abort")] == ["ECONNREFUSED"] * 2
    assert records[-1]["exitCode"] == 1


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_slow_servers(program: Program, tmp_path: Path, upstream: Make, part: bytes) -> None:
    def serve(connection: Any) -> None:
        connection.head()
        connection.send(part)
        connection.hang()

    done = program(
        *("replay", session_of(tmp_path / "a.jsonl", {}), "--to", upstream(serve=serve).url),
        *("-o", "b.jsonl", "--timeout", "300ms"),
    )
    assert done.returncode == 1
    (abort,) = of_type(read(tmp_path / "b.jsonl"), "abort")
    assert abort["error"]["code"] == "ETIMEDOUT"
    assert ("response" in abort) == bool(part)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_servers_that_reset(program: Program, tmp_path: Path, upstream: Make, part: bytes) -> None:
    def serve(connection: Any) -> None:
        connection.head()
        if part:
            connection.send(part)
        connection.reset()

    session = session_of(tmp_path / "a.jsonl", {"method": "POST", "body": "x" * 100_000}, {"connection": "d"})
    done = program("replay", session, "--to", upstream(serve=serve).url, "-o", "b.jsonl")
    assert done.returncode == 1
    codes = {record["error"]["code"] for record in of_type(read(tmp_path / "b.jsonl"), "abort")}
    assert codes <= {"ECONNRESET", "EPIPE"} and codes


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
        # Of as many fields that the time is over before there are too many of them.
        (b"", b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </style.css>; rel=preload\r\n" * 1000 + b"\r\n"),
    ],
    ids=["body", "interim answers"],
)
def test_servers_that_never_stop(program: Program, tmp_path: Path, upstream: Make, head: bytes, piece: bytes) -> None:
    def serve(connection: Any) -> None:
        connection.head()
        connection.send(head)
        while True:
            connection.send(piece * 64)

    # Several at once: then whatever is waited for has come already.
    session = session_of(tmp_path / "a.jsonl", *[{"connection": f"c{number}"} for number in range(8)])
    to = ("--to", upstream(serve=serve).url, "--pace", "max", "-o", "b.jsonl", "--max-body-size", "1KB")
    done = program("replay", session, *to, "--timeout", "500ms", "--events", "session-started,abort,session-ended")
    assert done.returncode == 1
    assert "8 requests failed" in done.stderr and "no end of its answer within 0.5s [ETIMEDOUT]" in done.stderr


def test_an_idle_connection_that_the_server_closes_is_not_a_failure(
    program: Program, tmp_path: Path, upstream: Make
) -> None:
    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    session = session_of(tmp_path / "a.jsonl", *[{"path": f"/{number}"} for number in range(20)])
    server = upstream(serve=serve)
    done = program("replay", session, "--to", server.url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    assert server.accepted == 20


def test_the_order_within_a_connection_is_kept_and_connections_stay_apart(
    program: Program, tmp_path: Path, upstream: Make
) -> None:
    server = upstream()
    requests = [{"path": f"/{number}", "connection": f"c{number % 5}"} for number in range(200)]
    done = program("replay", session_of(tmp_path / "a.jsonl", *requests), "--to", server.url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    by_connection: dict[int, list[int]] = {}
    for received in server.requests:
        by_connection.setdefault(received.connection, []).append(int(received.target[1:]))
    assert sorted(by_connection.values()) == [list(range(start, 200, 5)) for start in range(5)]


def test_what_was_concurrent_is_and_concurrency_bounds_it(program: Program, tmp_path: Path, upstream: Make) -> None:
    together = threading.Barrier(4, timeout=20)

    def answer(received: Any) -> bytes:
        together.wait()
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    requests = [{"connection": f"c{number}"} for number in range(4)]
    session = session_of(tmp_path / "a.jsonl", *requests)
    assert program("replay", session, "--to", upstream(answer).url, "--pace", "max").returncode == 0
    running, most = 0, 0
    lock = threading.Lock()

    def counted(received: Any) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    server = upstream(counted)
    done = program("replay", session, "--to", server.url, "--pace", "max", "--concurrency", "1", "--repeat", "3")
    assert done.returncode == 0
    assert (most, len(server.requests)) == (1, 12)


def test_the_pace_is_kept_and_said(program: Program, tmp_path: Path, upstream: Make) -> None:
    session = session_of(tmp_path / "a.jsonl", *[{"connection": f"c{n}"} for n in range(5)], apart=0.2)
    began = time.monotonic()
    done = program("replay", session, "--to", upstream().url, "--pace", "2x")
    assert time.monotonic() - began >= 0.4
    assert "asked for: 2x, 10.0/s" in done.stderr
    assert "later than they were due: p50" in done.stderr


def test_marks_are_listed_filled_or_left_out(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    requests = [
        {"path": "/open"},
        {"path": "/secret", "headers": [["Authorization", f"Bearer {MARK}"]]},
        {"path": "/login", "method": "POST", "body": json.dumps({"token": MARK, "user": "ann"})},
    ]
    session = session_of(tmp_path / "a.jsonl", *requests)
    done = program("replay", session, "--to", server.url, "-o", "b.jsonl")
    assert done.returncode == 0
    assert "2 requests with redacted values will not be sent" in done.stderr
    assert "GET /secret: header:authorization" in done.stderr
    assert "POST /login: json:$.token" in done.stderr
    assert "not sent: 2" in done.stderr
    assert [one.target for one in server.requests] == ["/open"]
    filled = ("--header", "Authorization: Bearer mine", "--set", "json:$.token=t=1")
    assert program("replay", session, "--to", server.url, "--pace", "max", *filled).returncode == 0
    secret, login = server.requests[-2:]
    assert secret.headers["authorization"] == login.headers["authorization"] == "Bearer mine"
    assert json.loads(login.body) == {"token": "t=1", "user": "ann"}


def test_nothing_sent_is_no_success(program: Program, tmp_path: Path) -> None:
    session = session_of(tmp_path / "a.jsonl", {"path": f"/{MARK}"})
    done = program("replay", session, "--to", "http://127.0.0.1:9")
    assert (done.returncode, "nothing was sent" in done.stderr) == (1, True)


def test_hosts_are_mapped_and_others_are_named(program: Program, tmp_path: Path, upstream: Make) -> None:
    one, two = upstream(), upstream()
    session = session_of(
        tmp_path / "a.jsonl", {"host": "a.test"}, {"host": "b.test:81", "connection": "d"}, {"host": "c.test"}
    )
    to = ("--to", f"a.test={one.url}", "--to", f"b.test={two.url}")
    done = program("replay", session, *to, "--keep-host")
    assert done.returncode == 0
    assert "left out: c.test (1)" in done.stderr
    assert (one.request.headers["host"], two.request.headers["host"]) == ("a.test", "b.test:81")
    dry = program("replay", session, *to, "--dry-run")
    assert dry.stdout.splitlines() == [
        "GET http://a.test/",
        "GET http://b.test:81/",
        "GET http://c.test/  not sent: no --to names its host",
    ]
    assert len(one.requests) == 1


def test_what_was_sent_as_json(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    session = session_of(tmp_path / "a.jsonl", {"path": "/é", "host": "a.test"}, {"host": "b.test"})
    to = ("--to", f"a.test={server.url}", "--as", "json")
    done = program("replay", session, *to, "-o", "b.jsonl")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {key: found[key] for key in ("sent", "failed", "skipped", "failures", "pace", "outputs")} == {
        "sent": 1, "failed": 0, "skipped": 1, "failures": {}, "pace": "original", "outputs": ["b.jsonl"],
    }  # fmt: skip
    dry = [json.loads(line) for line in program("replay", session, *to, "--dry-run").stdout.splitlines()]
    assert [(one["url"], one["sent"], one.get("reason")) for one in dry] == [
        ("http://a.test/é", True, None),
        ("http://b.test/", False, "no --to names its host"),
    ]
    compared = json.loads(program("replay", session, *to, "--diff").stdout)
    assert compared["summary"]["paired"] == 1
    assert program("replay", session, *to, "-o", "-").returncode == 2
    assert program("replay", session, "--serve", "--as", "json").returncode == 2


def test_bodies_are_encoded_and_framed_as_recorded(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    text = "".join(map(str, range(60_000)))
    packed = {"size": len(text), "text": text, "contentEncoding": "gzip", "encodedSize": 900}
    session = session_of(
        tmp_path / "a.jsonl",
        {"method": "POST", "body": packed, "headers": [["Content-Encoding", "gzip"], ["Content-Length", "900"]]},
        {"method": "POST", "body": text, "headers": [["Transfer-Encoding", "chunked"]]},
    )
    assert program("replay", session, "--to", server.url, "-o", "b.jsonl").returncode == 0
    first, second = server.requests
    assert gzip.decompress(first.body).decode() == second.body.decode() == text
    assert "content-length" not in second.headers
    folder = tmp_path / "b.jsonl.bodies"
    told = [one["body"] for one in of_type(read(tmp_path / "b.jsonl"), "request")]
    assert [Body.from_record(one, folder).bytes.decode() for one in told] == [text, text]


def test_a_client_that_left_leaves_again(program: Program, tmp_path: Path, upstream: Make) -> None:
    def serve(connection: Any) -> None:
        received = connection.head()
        if received.target == "/stream":
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n")
        connection.hang()

    session = session_of(
        tmp_path / "a.jsonl",
        {"path": "/stream", "left": {"duration": 9.0, "response": {"statusCode": 200, "body": {"size": 3}}}},
        {"path": "/never", "connection": "d", "left": {"duration": 60.0}},
    )
    done = program("replay", session, "--to", upstream(serve=serve).url, "-o", "b.jsonl")
    assert done.returncode == 0, done.stderr
    aborts = of_type(read(tmp_path / "b.jsonl"), "abort")
    assert sorted("response" in one for one in aborts) == [False, True]
    assert not any("error" in one for one in aborts)


def test_http2_where_it_was_recorded(recorder: Start, program: Program, tmp_path: Path) -> None:
    rules = "version: 1\nrules: [{when: {path: /a}, then: {reply: {body: hello}}}]\n"
    first = recorder(rules, out="first.jsonl")
    with httpx.Client(http2=True, verify=False, trust_env=False) as client:
        for number in range(3):
            assert client.post(f"https://127.0.0.1:{first.port}/a", content=str(number)).http_version == "HTTP/2"
    first.stop()
    second = recorder(rules, out="second.jsonl")
    to = f"https://127.0.0.1:{second.port}"
    done = program("replay", "first.jsonl", "--to", to, "--insecure", "-o", "again.jsonl")
    assert done.returncode == 0, done.stderr
    seen = second.stop()
    assert [one["httpVersion"] for one in seen.by_type("request")] == ["2.0"] * 3
    assert [one["body"]["text"] for one in seen.by_type("request")] == ["0", "1", "2"]
    assert len({one["connectionId"] for one in seen.by_type("request")}) == 1
    again = read(tmp_path / "again.jsonl")
    assert {one["httpVersion"] for one in of_type(again, "request")} == {"2.0"}
    assert [one["body"]["text"] for one in of_type(again, "response")] == ["hello"] * 3


def test_a_server_that_cannot_be_trusted(recorder: Start, program: Program, tmp_path: Path) -> None:
    run = recorder("version: 1\nrules: [{when: {}, then: {reply: {body: hello}}}]\n")
    session = session_of(tmp_path / "a.jsonl", {})
    to = ("--to", f"https://127.0.0.1:{run.port}")
    assert program("replay", session, *to).returncode == 1
    authority = Path(os.environ["MOCKREC_CA_DIR"]) / "ca.pem"
    assert program("replay", session, *to, "--trust", authority).returncode == 0


def test_websocket_messages_wait_for_the_recorded_answers(recorder: Start, program: Program, tmp_path: Path) -> None:
    lines = "[{send: hello}, {expect: one}, {send: two}, {expect: three}, {close: {code: 4001, reason: done}}]"
    rules = f"version: 1\nrules: [{{when: {{path: /ws}}, then: {{script: {lines}}}}}]\n"
    quiet = "version: 1\nrules: [{when: {path: /ws}, then: listen}]\n"
    first = recorder(rules, out="first.jsonl")
    code = (
        "import sys, websockets.sync.client as c\n"
        "with c.connect(sys.argv[1], proxy=None) as w:\n"
        "    w.recv(); w.send('one'); w.recv(); w.send('three')\n"
        "    for _ in w: pass\n"
    )
    subprocess.run([sys.executable, "-c", code, f"ws://127.0.0.1:{first.port}/ws"], check=False, timeout=60)
    before = first.stop()
    second = recorder(rules, out="second.jsonl")
    done = program("replay", "first.jsonl", "--to", second.url, "--pace", "max", "-o", "again.jsonl")
    assert done.returncode == 0, done.stderr
    assert second.stop().told() == []
    again = read(tmp_path / "again.jsonl")
    assert story(again, by_tag=True) == story(before.records, by_tag=False)
    third = recorder(quiet, out="third.jsonl")
    done = program("replay", "first.jsonl", "--to", third.url, "--timeout", "300ms", "-o", "last.jsonl")
    assert done.returncode == 1
    assert "0 of 1 recorded answers have come" in done.stderr
    assert of_type(read(tmp_path / "last.jsonl"), "abort")


@pytest.mark.parametrize("endless", [False, True])
def test_interrupted(tmp_path: Path, upstream: Make, endless: bool) -> None:
    asked = threading.Event()

    def serve(connection: Any) -> None:
        connection.head()
        asked.set()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while endless:
            connection.send(b"x" * 65536)
        connection.hang()

    session = session_of(tmp_path / "a.jsonl", *[{"connection": f"c{number}"} for number in range(8)])
    argv = [sys.executable, "-m", "mockrec.cli", "replay", session, "--to", upstream(serve=serve).url]
    process = subprocess.Popen([*argv, "-o", "b.jsonl"], cwd=tmp_path, stderr=subprocess.PIPE)
    assert asked.wait(20)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    records = read(tmp_path / "b.jsonl")
    assert (records[-1]["reason"], records[-1]["exitCode"]) == ("SIGINT", 130)


def test_only_what_is_looked_for_is_sent_and_compared(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    session = session_of(tmp_path / "a.jsonl", {"path": "/a"}, {"path": "/b"}, {"path": "/c", "method": "POST"})
    options = ("--to", server.url, "--pace", "max", "--only", "method == GET and path != /b")
    done = program("replay", session, *options, "--diff")
    assert [one.target for one in server.requests] == ["/a"], done.stderr
    assert (done.returncode, "only in" in done.stdout.lower()) == (0, False), done.stdout
    done = program("replay", session, "--to", server.url, "--only", "methd == GET")
    assert (done.returncode, "column 1" in done.stderr) == (2, True)


def test_differences_are_an_exit_code(recorded_shop: Path, shop: Shop, program: Program, upstream: Make) -> None:
    url = shop.start()
    done = program("replay", recorded_shop, "--to", url, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    other = upstream(b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\noh")
    done = program("replay", recorded_shop, "--to", other.url, "--diff", "--pace", "max", "--only", "path == /goods")
    assert done.returncode == 1
    assert "500" in done.stdout and "/goods" in done.stdout
    assert program("replay", recorded_shop, "--to", url, "--diff", "--repeat", "2").returncode == 2


def test_a_session_is_never_written_over_by_what_is_made_of_it(program: Program, tmp_path: Path) -> None:
    session = session_of(tmp_path / "a.jsonl", {})
    before = session.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(session)
    for options in (
        ("replay", session, "--to", "http://127.0.0.1:9", "-o", "a.jsonl"),
        ("replay", session, "--to", "http://127.0.0.1:9", "-o", "link.jsonl"),
        ("replay", session, "--serve", "--port", "0", "-o", "a.jsonl"),
        ("replay", session, "--to-rules", "a.jsonl"),
        ("diff", session, "link.jsonl", "-o", "a.md", "-o", "a.json"),
    ):
        (tmp_path / "a.json").unlink(missing_ok=True)
        (tmp_path / "a.json").symlink_to(session)
        done = program(*options, "--force")
        assert (done.returncode, "it is one of the sessions" in done.stderr) == (2, True), done.stderr
        assert session.read_bytes() == before


@pytest.mark.parametrize("name", ["replay.jsonl", "sent.jsonl"])
def test_comparing_works_whatever_the_session_is_called(
    program: Program, tmp_path: Path, upstream: Make, name: str
) -> None:
    session = session_of(tmp_path / name, {}, {"path": f"/{MARK}"}, {"method": "POST", "body": "x" * 10})
    Path(f"{session}.bodies").mkdir()
    server = upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    done = program("replay", session, "--to", server.url, "--pace", "max", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "B  what came back  2 exchanges" in done.stdout and f"A  {session}" in done.stdout


def test_the_host_can_be_said(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    session = session_of(tmp_path / "a.jsonl", {})
    assert program("replay", session, "--to", server.url, "--header", "Host: said.test").returncode == 0
    assert program("replay", session, "--to", server.url, "--set", "header:host=set.test").returncode == 0
    assert [one.headers["host"] for one in server.requests] == ["said.test", "set.test"]


def test_a_session_that_was_cut_off_is_sent_and_said(program: Program, tmp_path: Path, upstream: Make) -> None:
    session = session_of(tmp_path / "a.jsonl", {})
    with session.open("a", encoding="utf-8") as file:
        file.write('{"seq":3,"type":"requ')
    done = program("replay", session, "--to", upstream().url)
    assert (done.returncode, done.stderr.count("the session was cut off: line 4 is cut off")) == (0, 1)
    done = program("replay", "-", "--to", upstream().url, input=session.read_text(encoding="utf-8"))
    assert (done.returncode, done.stderr.count("the session was cut off")) == (0, 1)
    done = program("replay", session, "--to-rules", "r.yaml")
    assert (done.returncode, done.stderr.count("the session was cut off")) == (0, 1)


def test_a_session_from_stdin(program: Program, tmp_path: Path, upstream: Make) -> None:
    server = upstream()
    text = session_of(tmp_path / "a.jsonl", {}, {"path": f"/{MARK}"}).read_text(encoding="utf-8")
    done = program("replay", "-", "--to", server.url, input=text)
    assert (done.returncode, len(server.requests)) == (0, 1)
    assert "not sent: 1" in done.stderr


def test_a_session_from_a_named_pipe(program: Program, tmp_path: Path, upstream: Make) -> None:
    """As `replay <(…)` gives it: it can be read only once too."""
    server = upstream()
    data = session_of(tmp_path / "a.jsonl", {}, {"path": f"/{MARK}"}).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    done = program("replay", pipe, "--to", server.url)
    writer.join(10)
    assert (done.returncode, len(server.requests)) == (0, 1), done.stderr
    assert "not sent: 1" in done.stderr
    for option in (("--diff",), ("--repeat", "2"), ("--only", "status == 200")):
        done = program("replay", pipe, "--to", server.url, *option)
        assert (done.returncode, len(server.requests)) == (2, 1)
        assert "cannot be read again" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say what to do"),
        (("--to", "http://a/b"), "a path"),
        (("--to", "http://a", "--to", "http://b"), "given twice"),
        (("--to", "http://a", "--pace", "quick"), "original, max"),
        (("--to", "http://a", "--set", "x=1"), "selector"),
        (("--to", "http://a", "--header", "nothing"), "header"),
        (("--to", "http://a", "--header", "Content-Length: 3"), "Content-Length belongs to"),
        (("--to", "http://a", "--header", "content-encoding:"), "content-encoding belongs to"),
        (("--to", "http://a", "--diff", "-o", "-"), "in the midst of the report"),
        (("--to", "http://a", "--timeout", "0"), "no time"),
        (("--to", "http://a", "--trust", "missing.pem"), "missing.pem"),
    ],
)
def test_wrong_usage(program: Program, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = program("replay", session_of(tmp_path / "a.jsonl", {}), *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_outputs_that_cannot_be_kept(program: Program, tmp_path: Path) -> None:
    session = session_of(tmp_path / "a.jsonl", {})
    for out, code in (("a.jsonl", 2), ("missing/b.jsonl", 3)):
        assert program("replay", session, "--to", "http://127.0.0.1:9", "-o", out).returncode == code
    assert program("replay", "none.jsonl", "--to", "http://127.0.0.1:9").returncode == 2
