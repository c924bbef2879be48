"""`mockrec replay` of sessions in every format, and of HAR files of other tools."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from replay_sessions import session_of
from serving import Serving, serve

from mockrec.engine.rules.language.load import load_rules

__all__ = ["serve"]

FORMATS = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.har", "a.parquet", "a/"]
LONG = "x" * 300_000


@pytest.fixture
def sessions(program: Callable[..., Any], tmp_path: Path) -> Callable[[str], Path]:
    """The same session in any of the formats."""
    body = {"size": len(LONG), "text": LONG, "contentEncoding": "gzip", "encodedSize": 320}
    session_of(
        tmp_path / "session.jsonl",
        {"path": "/one?a=1", "headers": [["X-A", "1"], ["x-a", "2"]]},
        {"path": "/two", "method": "POST", "body": body, "headers": [["Content-Encoding", "gzip"]]},
        {"path": "/three", "method": "PUT", "body": "text", "connection": "d"},
    )

    def convert(name: str) -> Path:
        done = program("filter", "session.jsonl", "-o", name)
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    return convert


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_sent_does_not_depend_on_the_format(
    sessions: Any, program: Callable[..., Any], upstream: Any, name: str
) -> None:
    server = upstream()
    done = program("replay", sessions(name), "--to", server.url, "--pace", "max", "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    one, two, three = sorted(server.requests, key=lambda request: ["/one?a=1", "/two", "/three"].index(request.target))
    assert [tuple(pair) for pair in one.fields if pair[0].lower() == "x-a"] == [("X-A", "1"), ("x-a", "2")]
    assert gzip.decompress(two.body).decode() == LONG
    assert (three.method, three.body) == ("PUT", b"text")


@pytest.mark.parametrize("name", FORMATS)
def test_what_answers_does_not_depend_on_the_format(sessions: Any, serve: Any, name: str) -> None:
    serving: Serving = serve(sessions(name))
    assert httpx.get(f"{serving.url}/one?a=1", trust_env=False).status_code == 200
    assert httpx.put(f"{serving.url}/three", content=b"text", trust_env=False).status_code == 200
    assert httpx.put(f"{serving.url}/three", content=b"other", trust_env=False).status_code == 503


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """What a browser saves: decoded bodies, no connections, and an entry that is none."""

    def entry(path: str, content: dict[str, Any], *headers: tuple[str, str], **request: Any) -> dict[str, Any]:
        return {
            "startedDateTime": "2026-01-01T00:00:00.000Z",
            "time": 5,
            "request": {
                "method": "GET",
                "url": f"https://shop.test{path}",
                "httpVersion": "h2",
                "headers": [],
                **request,
            },
            "response": {
                "status": 200,
                "statusText": "",
                "httpVersion": "h2",
                "headers": [{"name": name, "value": value} for name, value in headers],
                "content": content,
            },
            "timings": {"send": 0, "wait": 5, "receive": 0},
        }

    html = ("content-type", "text/html; charset=iso-8859-1")
    kind = [{"name": "content-type", "value": "application/json"}]
    posted = {"method": "POST", "headers": kind, "postData": {"mimeType": "application/json", "text": '{"a": 1}'}}
    entries = [
        entry("/page", {"size": 4, "text": "für"}, html, ("content-encoding", "br")),
        entry("/bytes", {"size": 4, "text": "AAH/gA==", "encoding": "base64"}),
        entry("/post", {"size": 2, "text": "ok"}, **posted),
        entry("/gone", {"size": 12345}),
        {"broken": True},
    ]
    path = tmp_path / "browser.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}), encoding="utf-8")
    return path


def test_a_browsers_file_answers(foreign: Path, serve: Any) -> None:
    serving: Serving = serve(foreign)
    page = httpx.get(f"{serving.url}/page", trust_env=False)
    assert (page.headers["content-encoding"], page.text) == ("br", "für")
    assert httpx.get(f"{serving.url}/bytes", trust_env=False).content == b"\x00\x01\xff\x80"
    assert httpx.post(f"{serving.url}/post", json={"a": 1}, trust_env=False).text == "ok"
    gone = httpx.get(f"{serving.url}/gone", trust_env=False)
    assert (gone.status_code, "its body is not in the recording" in gone.text) == (503, True)
    _, said = serving.stop()
    assert "browser.har: entries[4] is left out: request is missing" in said


def test_a_browsers_file_is_sent_and_becomes_rules(
    foreign: Path, program: Callable[..., Any], upstream: Any, tmp_path: Path
) -> None:
    server = upstream()
    done = program("replay", foreign, "--to", server.url, "--pace", "max")
    assert done.returncode == 0, done.stderr
    assert "entries[4] is left out: request is missing" in done.stderr
    assert sorted(one.target for one in server.requests) == ["/bytes", "/gone", "/page", "/post"]
    assert next(one.body for one in server.requests if one.target == "/post") == b'{"a": 1}'
    done = program("replay", foreign, "--to-rules", "made.yaml")
    assert done.returncode == 0
    assert "GET /gone: its body is not in the recording" in done.stderr and "entries[4]" in done.stderr
    text = (tmp_path / "made.yaml").read_bytes()
    rules = load_rules(text, path="made.yaml", folder=str(tmp_path), read_file=lambda path: b"", env={}).rule_file.rules
    assert [rule.when.expected["path"] for rule in rules] == ["/page", "/bytes", "/post"]
