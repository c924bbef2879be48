"""`mockrec replay --to` with servers that give other tokens and ids each time."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from audited import read
from replay_sessions import session_of
from token_server import token_server, visit
from websockets.sync.client import connect

from mockrec.formats.schema.body import Body

Start = Callable[..., Any]
Program = Callable[..., subprocess.CompletedProcess[str]]
T = "a8f3k2m9x7"


def record(recorder: Start, tmp_path: Path, *options: str) -> Path:
    """A session of a visit to a server of its own."""
    with token_server(1) as (url, shop):
        run = recorder(None, "--upstream", url, *options, out="visit.jsonl")
        visit(run.url)
        assert run.stop().code == 0
        assert {status for _, _, status in shop.asked} <= {200, 201, 302}
    return tmp_path / "visit.jsonl"


@pytest.mark.parametrize("pace", ["original", "max"])
def test_another_server_is_visited_with_its_own_values(
    recorder: Start, program: Program, tmp_path: Path, pace: str
) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    with token_server(4000) as (url, shop):
        done = program("replay", session, "--to", url, "--pace", pace, "-o", "again.jsonl", "--redact", "none")
    assert done.returncode == 0, done.stderr
    assert [asked for asked in shop.asked if asked[2] >= 400] == []
    assert len(shop.asked) == 14
    for line in (
        "GET /login html:input[csrf] → form:csrf",
        "POST /login cookie:sid → cookie:sid",
        "POST /token json:$.access_token → header:authorization",
        "POST /items json:$.id → url (2×)",
        "POST /items json:$.id → json:$.item_id",
        "POST /items json:$.id → part:item_id",
        "GET /items/{…} header:etag → header:if-match",
        "GET /list json:$.next/url → url",
    ):
        assert line in done.stderr
    again = [one for one in read(tmp_path / "again.jsonl") if one["type"] == "request"]
    tags = {f"{one['method']} {one['path'].partition('?')[0]}": one["tags"] for one in again}
    assert "chained:json:$.item_id" in tags["POST /orders"]
    assert json.loads(next(one for one in again if one["path"] == "/orders")["body"]["text"]) == {
        "item_id": 4000,
        "count": 1,
    }


def hasten(session: Path, factor: float) -> None:
    """Record the same visit by a client and a server that take this part of the time."""
    lines = [json.loads(line) for line in session.read_text(encoding="utf-8").splitlines()]
    first = datetime.fromisoformat(lines[0]["timestamp"])
    ticks = next(line["timingEvents"]["startTimestamp"] for line in lines if "timingEvents" in line)
    for line in lines:
        at = first + (datetime.fromisoformat(line["timestamp"]) - first) * factor
        line["timestamp"] = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if timing := line.get("timingEvents"):
            for name in timing.keys() - {"startTime"}:
                timing[name] = ticks + (timing[name] - ticks) * factor
            start = datetime.fromtimestamp(timing["startTime"] / 1000.0, UTC)
            timing["startTime"] = round((first + (start - first) * factor).timestamp() * 1000.0)
    session.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_a_recorded_client_may_be_fast(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    hasten(session, 0.02)
    with token_server(4000) as (url, shop):
        done = program("replay", session, "--to", url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    assert [asked for asked in shop.asked if asked[2] >= 400] == []


def test_without_chaining_everything_is_sent_as_recorded(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    with token_server(4000) as (url, shop):
        done = program("replay", session, "--to", url, "--pace", "max", "--no-chain")
    assert ("GET", "/items/1", 403) in shop.asked
    assert "later requests" not in done.stderr


def test_redacted_values_are_the_new_ones(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path)
    assert "redacted-" in session.read_text(encoding="utf-8")
    with token_server(4000) as (url, shop):
        done = program("replay", session, "--to", url, "--pace", "max", "-o", "again.jsonl")
    # Credentials of Basic are redacted as one, which stands in no answer.
    assert "1 request with redacted values will not be sent" in done.stderr and "GET /basic" in done.stderr
    assert [asked for asked in shop.asked if asked[2] >= 400] == []
    assert len(shop.asked) == 13
    for given in shop.given:  # the new session has the secrets of the new server as little
        if not given.startswith(("cursor", "state", "user", "csrf")):
            assert given.partition(" ")[2] not in (tmp_path / "again.jsonl").read_text(encoding="utf-8")


def test_a_dry_run_says_what_would_be_chained(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    done = program("replay", session, "--to", "http://127.0.0.1:1", "--dry-run")
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("POST") and line.endswith("/orders"))
    assert "  chained: POST /items json:$.id → json:$.item_id" in lines[at + 1 :]
    assert "chained" not in program("replay", session, "--to", "http://127.0.0.1:1", "--dry-run", "--no-chain").stdout


def made_then_used(path: Path, *used: dict[str, Any], got: str = f'{{"token": "{T}"}}') -> Path:
    """A session in which the answer to POST /token is used by requests of other connections."""
    session_of(
        path, {"method": "POST", "path": "/token"}, *({"connection": f"c{n}", **one} for n, one in enumerate(used))
    )
    lines = path.read_text(encoding="utf-8").splitlines()
    answer = json.loads(lines[2])
    answer |= {"rawHeaders": [["Content-Type", "application/json"]], "body": {"size": len(got), "text": got}}
    path.write_text("\n".join([*lines[:2], json.dumps(answer), *lines[3:]]) + "\n", encoding="utf-8")
    return path


def test_a_request_of_another_connection_waits_for_its_value(
    program: Program, tmp_path: Path, upstream: Callable[..., Any]
) -> None:
    other = threading.Event()
    seen: list[str] = []

    def serve(connection: Any) -> None:
        head = connection.head().head
        seen.append(head.split(b"\r\n")[0].decode())
        if b"POST /token" in head:
            assert other.wait(20)  # the request that needs nothing has come meanwhile
            connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
                + b'{"token": "new0000"}'[:19]
            )
        else:
            if b"GET /free" in head:
                other.set()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    session = made_then_used(tmp_path / "a.jsonl", {"path": f"/used?t={T}"}, {"path": "/free"})
    done = program("replay", session, "--to", upstream(serve=serve).url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    assert seen[-1] == "GET /used?t=new0000 HTTP/1.1"


@pytest.mark.parametrize(
    ("token", "returncode", "said"),
    [
        (T, 0, "1 value sent as recorded, because the new answers have none at that place"),
        ("redacted-0123abcd", 1, "header:x-auth is redacted, and the answer to POST /token has no json:$.token"),
    ],
)
def test_a_value_that_the_new_answer_does_not_have(
    program: Program, tmp_path: Path, upstream: Callable[..., Any], token: str, returncode: int, said: str
) -> None:
    heads: list[bytes] = []

    def serve(connection: Any) -> None:
        heads.append(connection.head().head)
        connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    used = {"path": "/used", "headers": [["X-Auth", token]]}
    session = made_then_used(tmp_path / "a.jsonl", used, got=f'{{"token": "{token}"}}')
    done = program("replay", session, "--to", upstream(serve=serve).url, "--pace", "max")
    assert (done.returncode, said in done.stderr) == (returncode, True), done.stderr
    assert len(heads) == (2 if returncode == 0 else 1)


def test_what_somebody_sets_is_not_chained(program: Program, tmp_path: Path, upstream: Callable[..., Any]) -> None:
    heads: list[bytes] = []

    def serve(connection: Any) -> None:
        heads.append(connection.head().head)
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"token": "new"}')

    session = made_then_used(tmp_path / "a.jsonl", {"path": "/used", "headers": [["X-Auth", T]]})
    done = program("replay", session, "--to", upstream(serve=serve).url, "--pace", "max", "--header", "X-Auth: mine")
    assert done.returncode == 0, done.stderr
    assert any(b"X-Auth: mine\r\n" in head and b"/used" in head for head in heads)


def test_an_answer_in_a_coding_and_a_value_that_no_header_can_hold(
    program: Program, tmp_path: Path, upstream: Callable[..., Any]
) -> None:
    import gzip

    heads: list[bytes] = []
    body = gzip.compress(json.dumps({"token": "日本\r\nX: 1"}).encode())

    def serve(connection: Any) -> None:
        heads.append(connection.head().head)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)

    session = made_then_used(tmp_path / "a.jsonl", {"path": "/used", "headers": [["X-Auth", T]]})
    done = program("replay", session, "--to", upstream(serve=serve).url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    assert "X-Auth: 日本X: 1\r\n".encode() in heads[-1]


def test_what_comes_from_stdin_is_not_chained(program: Program, tmp_path: Path, upstream: Callable[..., Any]) -> None:
    heads: list[bytes] = []

    def serve(connection: Any) -> None:
        heads.append(connection.head().head)
        connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"token": "new0000"}')

    session = made_then_used(tmp_path / "a.jsonl", {"path": "/used", "headers": [["X-Auth", T]]})
    done = program("replay", "-", "--to", upstream(serve=serve).url, input=session.read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr
    assert "no values of answers are put into later requests" in done.stderr
    assert any(f"X-Auth: {T}".encode() in head for head in heads)


def test_a_repeated_replay_takes_the_values_of_each_time(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    with token_server(4000) as (url, shop):
        done = program("replay", session, "--to", url, "--pace", "max", "--repeat", "3")
    assert done.returncode == 0, done.stderr
    assert [asked for asked in shop.asked if asked[2] >= 400] == []
    assert {target for _, target, _ in shop.asked if target.startswith("/items/")} == {
        f"/items/{n}" for n in (4000, 4001, 4002)
    }


def test_messages_of_websockets_and_long_answers(recorder: Start, program: Program, tmp_path: Path) -> None:
    rules = """
rules:
  - {id: token, when: {path: /token}, then: {reply: {template: true, json: {filler: "{{ 'x' * 400000 }}", token: "{{ uuid() }}"}}}}
  - {id: socket, when: {path: /s}, then: {echo: {}}}
"""
    first = recorder(rules, "--redact", "none", out="first.jsonl")
    token = httpx.get(f"{first.url}/token").json()["token"]
    with connect(f"{first.url.replace('http', 'ws')}/s?t={token}") as socket:
        socket.send(json.dumps({"auth": token}))
        assert json.loads(socket.recv()) == {"auth": token}
    assert first.stop().code == 0
    second = recorder(rules, "--redact", "none", out="second.jsonl")
    done = program("replay", tmp_path / "first.jsonl", "--to", second.url, "--pace", "max", "-o", "again.jsonl")
    assert done.returncode == 0, done.stderr
    assert second.stop().code == 0
    records = read(tmp_path / "second.jsonl")
    body = next(one["body"] for one in records if one["type"] == "response")
    new = json.loads(Body.from_record(body, tmp_path / "second.jsonl.bodies").bytes)["token"]
    assert new != token
    assert next(one["path"] for one in records if one["type"] == "websocket-request") == f"/s?t={new}"
    message = next(one for one in records if one["type"] == "websocket-message-received")
    assert json.loads(message["content"]["text"]) == {"auth": new}


def test_what_was_chained_is_no_difference(recorder: Start, program: Program, tmp_path: Path) -> None:
    session = record(recorder, tmp_path, "--redact", "none")
    with token_server(4000) as (url, _):
        done = program("replay", session, "--to", url, "--pace", "max", "--diff", "-o", "b.jsonl", "--redact", "none")
    assert "no difference in 14 pairs" in done.stdout, done.stdout
    assert done.returncode == 0, done.stderr
    assert '"id": 4000' in next(  # the new session has what the server has said
        one["body"]["text"]
        for one in read(tmp_path / "b.jsonl")
        if one["type"] == "response" and one["method"] == "PUT"
    )
    with token_server(4000) as (url, _):
        done = program("replay", session, "--to", url, "--pace", "max", "--diff", "--no-chain", "--redact", "none")
    assert done.returncode == 1 and "breaking" in done.stdout
