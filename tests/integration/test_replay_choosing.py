"""`mockrec replay --serve` where a session has several answers for one request, with real clients; and its log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Serving, serve

Serve = Callable[..., Serving]

__all__ = ["serve"]


def entry(
    url: str, answer: str = "", *, status: int = 200, asked: Any = (), fields: Any = (), **more: Any
) -> dict[str, Any]:
    """An entry of a HAR of another tool. `size` of a body that it has not kept."""
    content: dict[str, Any] = {"size": more.get("size", len(answer)), "mimeType": "text/plain"}
    if "size" not in more:
        content["text"] = answer
    request: dict[str, Any] = {
        "method": more.get("method", "GET"), "url": f"http://s.test{url}", "httpVersion": "HTTP/1.1", "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in asked], "queryString": [], "headersSize": -1, "bodySize": 0,
    }  # fmt: skip
    if "body" in more:
        request["postData"] = {"mimeType": dict(asked)["Content-Type"], "text": more["body"]}
    return {
        "startedDateTime": "2026-01-01T00:00:00.000Z", "time": 1, "request": request, "cache": {},
        "response": {
            "status": status, "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [], "content": content, "redirectURL": "",
            "headers": [{"name": name, "value": value} for name, value in fields], "headersSize": -1, "bodySize": -1,
        },
        "timings": {"send": 0, "wait": 1, "receive": 0},
    }  # fmt: skip


def har(path: Path, *entries: dict[str, Any]) -> Path:
    log = {"version": "1.2", "creator": {"name": "somebody", "version": "1"}, "entries": entries}
    path.write_text(json.dumps({"log": log}), encoding="utf-8")
    return path


def curl(*arguments: str) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "-g", "-m", "20", "--noproxy", "*", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return (
        int(first.split()[1]),
        {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)},
        body,
    )


def events(serving: Serving, kind: str) -> list[Any]:
    return [one["eventData"] for one in serving.records if one["type"] == "rule-event" and one["eventType"] == kind]


def test_ranges(tmp_path: Path, serve: Serve) -> None:
    text = "AAAABBBBCCCC"
    pieces = [
        entry("/big", text[at : at + 4], status=206, asked=[("Range", f"bytes={at}-{at + 3}")], fields=[("Content-Range", f"bytes {at}-{at + 3}/12")])
        for at in (0, 4, 8)
    ]  # fmt: skip
    whole = entry("/whole", text, fields=[("ETag", '"1"')])
    serving = serve(har(tmp_path / "a.har", *pieces, whole))
    status, fields, body = curl("-r", "8-11", f"{serving.url}/big")
    assert (status, fields["content-range"], body) == (206, "bytes 8-11/12", b"CCCC")
    assert curl("-r", "2-5", f"{serving.url}/big")[0] == 503
    assert curl(f"{serving.url}/big")[0] == 503
    status, fields, body = curl("-r", "-3", f"{serving.url}/whole")
    assert (status, fields["content-range"], fields["content-length"], body) == (206, "bytes 9-11/12", "3", b"CCC")
    assert curl("-r", "99-", f"{serving.url}/whole")[:2][0] == 416
    assert curl("-r", "0-3", "-H", 'If-Range: "0"', f"{serving.url}/whole")[::2] == (200, text.encode())
    # A download that goes on where it was broken off.
    kept = tmp_path / "kept"
    kept.write_bytes(text[:5].encode())
    subprocess.run(
        ["curl", "-sS", "-C", "-", "--noproxy", "*", "-o", kept, f"{serving.url}/whole"], check=True, timeout=20
    )
    assert kept.read_text(encoding="ascii") == text
    code, said = serving.stop()
    assert code == 0, said
    answers = [(one["statusCode"], one["body"].get("text")) for one in serving.records if one["type"] == "response"]
    assert answers[0] == (206, "CCCC")
    assert answers[3] == (206, "CCC")
    assert [status for status, _ in answers] == [206, 503, 503, 206, 416, 200, 206]


def test_conditions_and_types(tmp_path: Path, serve: Serve) -> None:
    session = har(
        tmp_path / "a.har",
        entry("/app.js", "first", fields=[("ETag", '"1"')]),
        entry("/app.js", status=304, asked=[("If-None-Match", '"1"')], fields=[("ETag", '"1"')]),
        entry("/warm.css", status=304, asked=[("If-None-Match", '"2"')]),
        entry("/neg", "{}", asked=[("Accept", "application/json")], fields=[("Content-Type", "application/json")]),
        entry("/neg", "<j/>", asked=[("Accept", "application/xml")], fields=[("Content-Type", "application/xml")]),
    )
    serving = serve(session)
    assert [curl(f"{serving.url}/app.js")[::2] for _ in range(2)] == [(200, b"first")] * 2
    assert curl("-H", 'If-None-Match: "1"', f"{serving.url}/app.js")[0] == 304
    missed = curl(f"{serving.url}/warm.css")
    assert missed[0] == 503 and b'header:if-none-match: recorded "\\"2\\"", asked for nothing' in missed[2]
    assert curl("-H", "Accept: application/xml", f"{serving.url}/neg")[2] == b"<j/>"
    assert curl("-H", "Accept: text/csv", f"{serving.url}/neg")[2] == b"{}"
    code, said = serving.stop()
    assert code == 0
    assert "1 request with an answer that may be meant for another request:" in said
    assert "GET /neg: no recorded answer is of a type that its accept takes" in said
    guess = [one for one in serving.records if "replay-guess" in one.get("tags", ()) and one["type"] == "response"]
    assert [one["body"]["text"] for one in guess] == ["{}"]
    assert [one["message"] for one in events(serving, "replay-guess")] == [
        "no recorded answer is of a type that its accept takes"
    ]


TOKEN = "grant_type=authorization_code&code={0}&code_verifier={0}&client_id=c"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
RELATED = (
    "--{0}\r\ncontent-type: application/json\r\n\r\n{1}\r\n--{0}\r\ncontent-type: text/plain\r\n\r\ndata\r\n--{0}--"
)


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_volatile_by_nature(tmp_path: Path, serve: Serve, strict: bool) -> None:
    related = ("Content-Type", 'multipart/related; boundary="b1"')
    session = har(
        tmp_path / "a.har",
        entry("/token", "ok", method="POST", asked=[FORM], body=TOKEN.format("one")),
        entry("/up", "up", method="POST", asked=[related], body=RELATED.format("b1", '{"n":1}')),
        entry("/s3?X-Amz-Date=1&X-Amz-Signature=1&X-Amz-Credential=1", "file"),
    )
    serving = serve(session, *(["--strict-match"] if strict else []))
    token = curl("-d", TOKEN.format("two"), f"{serving.url}/token")
    up = curl(
        "-H",
        "Content-Type: multipart/related; boundary=zz",
        "--data-binary",
        RELATED.format("zz", '{"n": 1}'),
        f"{serving.url}/up",
    )
    file = curl(f"{serving.url}/s3?X-Amz-Date=2&X-Amz-Signature=2&X-Amz-Credential=2")
    code, said = serving.stop()
    assert code == 0
    assert up[2] == b"up"
    if strict:
        assert (token[0], file[0]) == (503, 503)
        assert b"It would match with --ignore form:code --ignore form:code_verifier" in token[2]
        assert "by nature" not in said
        return
    assert (token[2], file[2]) == (b"ok", b"file")
    assert "volatile by nature (--strict-match compares them)" in said
    assert "form:code_verifier" in said and "query:X-Amz-Signature" in said
    assert [one["places"] for one in events(serving, "replay-ignored")] == [
        ["form:code", "form:code_verifier"],
        ["query:X-Amz-Date", "query:X-Amz-Signature", "query:X-Amz-Credential"],
    ]


def test_what_a_tool_has_not_kept(tmp_path: Path, serve: Serve) -> None:
    session = har(
        tmp_path / "a.har",
        entry("/re", status=302, fields=[("Location", "/x")], size=120),
        entry("/x", '{"a":1}', fields=[("Content-Type", "application/json"), ("Content-Encoding", "dcb")]),
        entry('/items/{id}?f={"a":1}', "body"),
        entry("/lost", size=120),
    )
    serving = serve(session)
    status, fields, body = curl(f"{serving.url}/re")
    assert (status, fields["location"], fields["content-length"], body) == (302, "/x", "0", b"")
    status, fields, body = curl(f"{serving.url}/x")
    assert (status, "content-encoding" in fields, body) == (200, False, b'{"a":1}')
    assert curl(f'{serving.url}/items/{{id}}?f={{"a":1}}')[2] == b"body"
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{serving.url}/items/%7Bid%7D", params={"f": '{"a":1}'}).text == "body"
    assert curl(f"{serving.url}/lost")[0] == 503
    code, said = serving.stop()
    assert code == 0
    assert "GET /re: sent without a body" in said and "repaired in 2 ways while it was read" in said  # the URL, and /x
    assert "GET /lost: its body is not in the recording" in said


def test_the_step_can_compare_everything(recorder: Callable[..., Any], tmp_path: Path) -> None:
    har(tmp_path / "a.har", entry("/cb?code=one&state=1", "x"))
    rules = """\
version: 1
rules:
  - {id: strict, when: {headers: {X-Strict: "1"}}, then: {replay: {session: a.har, strictMatch: true}}}
  - {id: tape, when: {}, then: {replay: a.har}}
"""
    run = recorder(rules)
    assert curl(f"{run.url}/cb?code=two&state=2")[2] == b"x"
    assert curl("-H", "X-Strict: 1", f"{run.url}/cb?code=two&state=2")[0] == 503
    assert run.stop().code == 0


def test_streams_that_their_client_left(recorder: Callable[..., Any], tmp_path: Path, serve: Serve) -> None:
    """Recorded by the program itself, from a client that goes in the middle."""
    rules = """\
version: 1
rules:
  - when: {path: /lines}
    then:
      stream:
        headers: {Content-Type: application/x-ndjson}
        chunks: [{data: "{\\"n\\":1}\\n"}, {data: "{\\"n\\":2}\\n"}, {data: "{}", after: 60s}]
"""
    run = recorder(rules, out="first.jsonl")
    wanted = b'{"n":1}\n{"n":2}\n'

    def hear(url: str) -> bytes:
        heard = b""
        with httpx.Client(trust_env=False, timeout=20) as client, client.stream("GET", f"{url}/lines") as answer:
            for piece in answer.iter_raw():
                heard += piece
                if len(heard) >= len(wanted):
                    break
        return heard

    assert hear(run.url) == wanted
    run.stop()
    serving = serve(tmp_path / "first.jsonl", "--strict")
    assert hear(serving.url) == wanted
    assert serving.stop()[0] == 0
