"""HARs of other tools with the real program: no oddity of a file comes as far as a client, a server or a rule file."""

from __future__ import annotations

import json
import socket
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audited import read
from serving import Serving, serve
from strict_server import Strict

__all__ = ["serve"]

Record = dict[str, Any]
Program = Callable[..., subprocess.CompletedProcess[str]]

REPORT = "報告.pdf"


def fields(*pairs: tuple[Any, Any]) -> list[Record]:
    return [{"name": name, "value": value} for name, value in pairs]


def entry(path: str, *, request: Record | None = None, response: Record | None = None, **members: Any) -> Record:
    made = {
        "startedDateTime": "2026-01-01T00:00:00.000Z",
        "time": 5,
        "request": {"method": "GET", "url": f"http://s.test{path}", "httpVersion": "HTTP/1.1", "headers": []},
        "response": {"status": 200, "statusText": "OK", "headers": [], "content": {"size": 2, "text": "ok"}},
        "cache": {},
        "timings": {"send": 1, "wait": 2, "receive": 2},
    }
    made["request"] |= request or {}
    made["response"] |= response or {}
    return made | members


ENTRIES = [
    entry("/login", response={"headers": fields(("Set-Cookie", "a=1; path=/\nb=2; path=/"), ("X-A\r", " x\0"))}),
    entry(
        "/dl", response={"statusText": "gut ü報", "headers": fields(("Content-Disposition", f'filename="{REPORT}"'))}
    ),
    entry("/line", request={"headers": fields(("GET /line?x=http", "//s.test/ HTTP/1.1"), ("Accept", "*/*"))}),
    entry(
        "/names",
        request={
            "headers": fields(("", ""), ("", "authority: s.test"), ("X-Key (Header)", "x"), (None, 1), ("É", "x"))
        },
        response={"headers": fields(("HTTP/1.1 200 OK", ""), ("A B", "x"), ("Content-Length", "6,219"))},
    ),
    entry('/items/{id} x?f={"a":1}'),
    entry("/re", response={"status": "302", "headers": fields(("Location", "/x")), "content": {"size": 120}}),
    entry("/coded", response={"headers": fields(("Content-Encoding", "dcb")), "content": {"size": 2, "text": "ok"}}),
    entry(
        "/base64", response={"content": {"size": 3, "mimeType": "image/gif", "text": "R0\nlG", "encoding": "BASE64"}}
    ),
    entry(
        "/up",
        startedDateTime=1767225601,
        request={
            "method": "POST",
            "headers": fields(("Content-Type", "multipart/form-data; boundary=XX")),
            "postData": {"params": [{"name": "f", "fileName": "a.txt", "contentType": "text/plain", "value": "body"}]},
        },
    ),
    entry("/dated", startedDateTime="Thu, 01 Jan 2026 00:00:02 GMT", response={"content": None, "cookies": None}),
]
UPLOAD = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nbody\r\n--XX--\r\n'


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": ENTRIES}}), encoding="utf-8")
    return path


def ask(serving: Serving, request: bytes) -> bytes:
    """The bytes of an answer."""
    with socket.create_connection(("127.0.0.1", serving.port), 20) as connection:
        connection.sendall(request + b"\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_verify_says_what_was_repaired_and_what_is_missing(program: Program, odd: Path) -> None:
    done = program("verify", odd)
    assert done.returncode == 1, "four headers are left out"
    lines = done.stdout.splitlines()
    assert lines[0].endswith("odd.har: not complete: 32 records, 10 exchanges")
    repaired = [line for line in lines if line.startswith("  repaired: ")]
    assert (
        "  repaired: header values with line breaks are several fields "
        "(1 time, first in entries[0].response.headers[0]: 'a=1; path=/\\nb=2; path=/')"
    ) in repaired
    assert len(repaired) == 15
    assert [line for line in lines if "missing: " in line] == [
        "  missing: bodies of redirects are not in the file (1 time, first in entries[5].response.content)"
    ]
    assert lines[-1] == (
        "  headers that no message can hold are left out "
        "(4 times, first in entries[3].request.headers[2]: X-Key (Header))"
    )


def test_everything_is_served(serve: Callable[..., Serving], odd: Path) -> None:
    serving = serve(odd)

    def get(path: bytes) -> bytes:
        return ask(serving, b"GET %b HTTP/1.1\r\nHost: s.test\r\nConnection: close\r\n" % path)

    assert b"\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: b=2; path=/\r\nX-A: x\r\n" in get(b"/login")
    report = get(b"/dl")
    assert report.startswith(b"HTTP/1.1 200 gut \xc3\xbc\xe5\xa0\xb1\r\n")
    assert f'filename="{REPORT}"'.encode() in report
    for path in (b"/line", b"/names", b'/items/{id}%20x?f={"a":1}', b"/items/%7Bid%7D%20x?f=%7B%22a%22:1%7D"):
        assert get(path).endswith(b"\r\n\r\nok"), path
    redirect = get(b"/re")
    assert redirect.startswith(b"HTTP/1.1 302 ")
    assert b"Location: /x\r\n" in redirect
    assert b"Content-Length: 0\r\n" in redirect
    coded = get(b"/coded")
    assert coded.endswith(b"\r\n\r\nok")
    assert b"Content-Encoding" not in coded
    assert get(b"/base64").endswith(b"\r\n\r\nGIF")
    assert get(b"/dated").startswith(b"HTTP/1.1 200 ")
    head = (
        b"POST /up HTTP/1.1\r\nHost: s.test\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=YY\r\n"
    )
    body = UPLOAD.replace(b"XX", b"YY")
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    assert ask(serving, head + length + body).endswith(b"\r\n\r\nok")
    code, said = serving.stop()
    assert code == 0
    assert "without a recording" not in said
    assert "repaired in 15 ways while it was read" in said
    tags = [tag for record in serving.records for tag in record.get("tags", [])]
    assert "replay-miss" not in tags


def test_everything_is_sent(program: Program, upstream: Callable[..., Any], odd: Path, tmp_path: Path) -> None:
    strict = Strict()
    server = upstream(serve=strict.serve)
    done = program(
        "replay", odd, "--to", f"http://127.0.0.1:{server.port}", "--pace", "max", "-o", tmp_path / "new.jsonl"
    )
    assert done.returncode == 0, done.stderr
    assert strict.problems == []
    assert len(strict.requests) == len(ENTRIES)
    assert ("POST", "/up", UPLOAD) in strict.requests
    assert "/items/%7Bid%7D%20x?f={%22a%22:1}" in [target for _, target, _ in strict.requests]
    assert [record["type"] for record in read(tmp_path / "new.jsonl")].count("response") == len(ENTRIES)


def test_rules_of_it_are_good(program: Program, odd: Path, tmp_path: Path) -> None:
    made = program("replay", odd, "--to-rules", tmp_path / "rules.yaml")
    assert made.returncode == 0, made.stderr
    checked = program("check", tmp_path / "rules.yaml")
    assert checked.returncode == 0
    assert checked.stderr.endswith(": 10 rules, no problems\n")


@pytest.mark.parametrize("name", ["new.har", "new.jsonl", "new.parquet"])
def test_what_is_made_of_it_is_complete(program: Program, odd: Path, tmp_path: Path, name: str) -> None:
    done = program("filter", odd, "-o", tmp_path / name)
    assert done.returncode == 0, done.stderr
    checked = program("verify", tmp_path / name)
    assert (checked.returncode, "repaired" in checked.stdout) == (0, False), checked.stdout
    assert program("diff", odd, tmp_path / name).returncode == 0
    chosen = program("filter", tmp_path / name, "tag contains har-odd", "--count")
    assert chosen.stdout.split()[0] == "10"


@pytest.mark.parametrize(
    "command",
    [("show",), ("stats",), ("filter", "status == 200"), ("replay", "--dry-run", "--to", "http://127.0.0.1:1")],
)
def test_nobody_ends_in_a_defect(program: Program, odd: Path, command: tuple[str, ...]) -> None:
    done = program(command[0], odd, *command[1:])
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_zip_of_playwright(program: Program, serve: Callable[..., Serving], tmp_path: Path) -> None:
    attached = entry("/image", response={"content": {"size": 3, "mimeType": "image/gif", "_file": "0abc.gif"}})
    with zipfile.ZipFile(tmp_path / "s.har.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("har.har", json.dumps({"log": {"version": "1.2", "entries": [attached]}}))
        archive.writestr("0abc.gif", b"GIF")
    done = program("verify", "s.har.zip")
    assert (done.returncode, done.stdout) == (0, "s.har.zip: complete: 5 records, 1 exchange\n")
    serving = serve(tmp_path / "s.har.zip")
    answer = ask(serving, b"GET /image HTTP/1.1\r\nHost: s.test\r\nConnection: close\r\n")
    assert answer.endswith(b"\r\n\r\nGIF")
    assert serving.stop()[0] == 0
