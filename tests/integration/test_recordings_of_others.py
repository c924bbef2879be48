"""Cassettes, flow files and Parquet through pipes with the real program: served, sent, compared, converted."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Serving, serve

Program = Callable[..., subprocess.CompletedProcess[str]]

__all__ = ["serve"]

CODED = base64.b64encode(gzip.compress(b'{"state": "paid"}', mtime=0)).decode()
CASSETTE = f"""interactions:
- request: {{method: GET, uri: 'http://shop.test/orders', headers: {{}}, body: null}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{Content-Type: [application/json], Content-Encoding: [gzip], Set-Cookie: [a=1, b=2]}}
    body: {{string: !!binary {CODED}}}
- request: {{method: GET, uri: 'http://shop.test/orders', headers: {{}}, body: null}}
  response: {{status: {{code: 503, message: Later}}, headers: {{}}, body: {{string: later}}}}
- request: {{method: POST, uri: 'http://shop.test/up', headers: {{}}, body: !!binary AP8=}}
  response: {{status: {{code: 201, message: Created}}, headers: {{}}, body: {{string: ''}}}}
version: 1
"""


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(CASSETTE, encoding="utf-8")
    return path


def test_a_cassette_answers(cassette: Path, serve: Callable[..., Serving]) -> None:
    served = serve(cassette)
    with httpx.Client(trust_env=False, timeout=20, base_url=served.url) as client:
        first, second, third = client.get("/orders"), client.get("/orders"), client.get("/orders")
        sent = client.post("/up", content=b"\x00\xff")
        missed = client.get("/other")
    assert (first.json(), first.headers["content-encoding"]) == ({"state": "paid"}, "gzip")
    assert first.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert [(one.status_code, one.reason_phrase) for one in (second, third)] == [(503, "Later")] * 2
    assert (sent.status_code, missed.status_code) == (201, 503)
    served.stop()
    lines = [json.loads(line) for line in served.log.read_bytes().splitlines()]
    assert [line["statusCode"] for line in lines if line["type"] == "response"] == [200, 503, 503, 201, 503]


@pytest.mark.parametrize("name", ["out.jsonl", "out.har", "out.parquet"])
def test_a_cassette_is_converted_without_a_loss(cassette: Path, program: Program, name: str) -> None:
    out = cassette.with_name(name)
    assert program("filter", cassette, "-o", out).returncode == 0
    assert program("diff", cassette, out, "--requests").returncode == 0
    assert program("verify", out).returncode == 0
    rules = cassette.with_name("rules.yaml")
    assert program("replay", cassette, "--to-rules", rules).returncode == 0
    assert program("check", rules).returncode == 0


@pytest.mark.parametrize("command", [["show"], ["stats"], ["verify"], ["filter", "--count"]])
def test_parquet_from_a_pipe(cassette: Path, program: Program, command: list[str], tmp_path: Path) -> None:
    assert program("filter", cassette, "-o", tmp_path / "s.parquet").returncode == 0
    verb, *options = command
    with (tmp_path / "s.parquet").open("rb") as file:
        piped = program(verb, "-", *options, stdin=file)
    named = program(verb, tmp_path / "s.parquet", *options)
    assert (piped.returncode, piped.stderr) == (0, named.stderr)
    assert piped.stdout.replace("stdin", str(tmp_path / "s.parquet")) == named.stdout


def test_what_is_no_session_is_refused_by_name(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text('{"constants":{"logEventTypes":{}},\n"events":[]}')
    for verb in ("show", "stats", "verify", "filter"):
        done: Any = program(verb, path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "NetLog of Chrome" in done.stderr
        assert "Export a HAR" in done.stderr
