"""Every command takes the recordings of other tools; only writing to them is refused, with the conversion that is needed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.serve.cassette import Cassette, Miss
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.rules.matching.request import RequestView
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.append import check_addable

Mockrec = Callable[..., Any]

URL = "http://shop.test/orders/7"
ANSWER = '{"id": 7, "state": "paid"}'
VCR = {
    "interactions": [
        {
            "request": {"method": "GET", "uri": URL, "body": None, "headers": {"Accept": ["*/*"]}},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"Content-Type": ["application/json"], "Date": ["Sun, 29 Nov 2026 21:51:47 GMT"]},
                "body": {"string": ANSWER},
            },
        }
    ],
    "version": 1,
}
YAML = f"""\
interactions:
- request: {{body: null, headers: {{Accept: ['*/*']}}, method: GET, uri: '{URL}'}}
  response:
    body: {{string: '{ANSWER}'}}
    headers: {{Content-Type: [application/json]}}
    status: {{code: 200, message: OK}}
version: 1
"""
RUBY = f"""\
---
http_interactions:
- request: {{method: get, uri: '{URL}', body: {{encoding: UTF-8, string: ''}}, headers: {{}}}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{Content-Type: [application/json]}}
    body: {{encoding: UTF-8, string: '{ANSWER}'}}
  recorded_at: Sun, 29 Nov 2026 21:51:47 GMT
recorded_with: VCR 6.1.0
"""


def har(content: dict[str, Any], **log: Any) -> str:
    entry = {
        "startedDateTime": "2026-11-29T21:51:47.000Z",
        "time": 3,
        "request": {
            "method": "GET",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "headers": [],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "cookies": [],
            "content": {"size": len(ANSWER), "mimeType": "application/json", **content},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 3, "receive": 0},
    }
    return json.dumps({"log": {"version": "1.2", **log, "entries": [entry]}})


def dumped(value: Any) -> bytes:
    """Encode a value as mitmproxy does."""
    match value:
        case None:
            raw, tag = b"", b"~"
        case float():
            raw, tag = repr(value).encode(), b"^"
        case int():
            raw, tag = str(value).encode(), b"#"
        case bytes():
            raw, tag = value, b","
        case str():
            raw, tag = value.encode(), b";"
        case dict():
            raw, tag = b"".join(dumped(key) + dumped(one) for key, one in value.items()), b"}"
        case _:
            raw, tag = b"".join(map(dumped, value)), b"]"
    return b"%d:%s%s" % (len(raw), raw, tag)


FLOW = {
    "version": 21,
    "type": "http",
    "id": "f1",
    "error": None,
    "request": {
        "host": "shop.test", "port": 80, "method": b"GET", "scheme": b"http", "authority": b"", "path": b"/orders/7",
        "http_version": b"HTTP/1.1", "headers": [[b"Host", b"shop.test"]], "content": b"", "trailers": None,
        "timestamp_start": 1_795_000_000.5, "timestamp_end": 1_795_000_000.6,
    },
    "response": {
        "status_code": 200, "reason": b"OK", "http_version": b"HTTP/1.1",
        "headers": [[b"Content-Type", b"application/json"]], "content": ANSWER.encode(), "trailers": None,
        "timestamp_start": 1_795_000_000.7, "timestamp_end": 1_795_000_000.8,
    },
}  # fmt: skip

POLLY = {"_recordingName": "orders/pays", "creator": {"name": "Polly.JS", "version": "6.0.6"}}
PLAYWRIGHT = {"creator": {"name": "Playwright", "version": "1.50.0"}, "browser": {"name": "chromium", "version": "1"}}
KINDS = ["vcr.yaml", "vcr.json", "ruby.yml", "polly.har", "playwright.har", "playwright.har.zip", "flows.mitm"]


@pytest.fixture(params=KINDS)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recording of one exchange by another tool."""
    path = tmp_path / request.param
    attached = har({"_file": "abc123.json"}, **PLAYWRIGHT)
    texts = {
        "vcr.yaml": YAML,
        "vcr.json": json.dumps(VCR),
        "ruby.yml": RUBY,
        "polly.har": har({"text": ANSWER}, **POLLY),
        "playwright.har": attached,
    }
    if request.param == "playwright.har.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("har.har", attached)
            archive.writestr("abc123.json", ANSWER)
    elif request.param == "flows.mitm":
        path.write_bytes(dumped(FLOW))
    else:
        path.write_text(texts[request.param], encoding="utf-8")
        (tmp_path / "abc123.json").write_text(ANSWER, encoding="utf-8")
    return path


def test_every_command_takes_it(mockrec: Mockrec, recording: Path, tmp_path: Path) -> None:
    shown = mockrec("show", recording)
    assert (shown.code, shown.out.count(URL)) == (0, 1)
    assert "1 exchange" in mockrec("stats", recording).out
    assert mockrec("verify", recording).code in (0, 1)
    rows = tmp_path / "rows.csv"
    assert mockrec("filter", recording, "json[$.state] == paid", "--fields", "status,method,url", "-o", rows).code == 0
    assert rows.read_text(encoding="utf-8").splitlines() == ["status,method,url", f"200,GET,{URL}"]
    now = tmp_path / "now.jsonl"
    assert mockrec("filter", recording, "-o", now).code == 0
    assert mockrec("verify", now).code == 0
    assert mockrec("diff", recording, now).code == 0
    now.write_text(now.read_text(encoding="utf-8").replace("paid", "open"), encoding="utf-8")
    drifted = mockrec("diff", recording, now)
    assert drifted.code == 1 and "response.json:$.state" in drifted.out
    assert mockrec("replay", recording, "--to-rules", tmp_path / "rules.yaml").code == 0
    assert mockrec("replay", recording, "--to", "http://127.0.0.1:1", "--dry-run").code == 0


def test_it_is_served(recording: Path) -> None:
    cassette = Cassette(str(recording), MatchOptions())
    try:
        view = RequestView("GET", "http", URL, "shop.test", 80, "/orders/7", {}, [], False, lambda: b"")
        # VCR.py's allow_playback_repeats: the last answer is repeated.
        for _ in range(2):
            found = cassette.find(view, "shop.test")
            assert not isinstance(found, Miss) and found.answer is not None
            assert cassette.read(found.answer)["body"]["text"] == ANSWER
        assert (cassette.served, cassette.missed, cassette.unused_count) == (2, 0, 0)
    finally:
        cassette.close()


def test_nothing_is_written_to_it(recording: Path) -> None:
    before = recording.read_bytes()
    with pytest.raises(SessionError, match="convert it with `mockrec filter"):
        check_addable(str(recording))
    assert recording.read_bytes() == before
