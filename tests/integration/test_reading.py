"""Recorded sessions are read with jq and pandas as the documentation says, also while they are being written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

ROOT = Path(__file__).parents[2]
RULES = """
version: 1
rules:
  - id: orders
    when: {method: GET, path: /orders/}
    then:
      - emit: {type: seen, data: {path: "{{ request.path }}"}}
      - reply: {headers: {set-cookie: [sid=1; HttpOnly, theme=dark]}, json: {orders: [{id: 7}]}}
  - id: slow
    when: {path: /slow}
    then: [{delay: 210ms}, {reply: {status: 201}}]
  - id: broken
    when: {path: /broken}
    then: {reply: {status: 500, body: no}}
  - id: gone
    when: {path: /gone}
    then: close
  - id: never                # lets the answer to the call with a body wait for that
    when: {path: /orders/9, json: {no: such}}
    then: close
"""
CALLS = """
import http.client, os
for method, path, body in [
    ("GET", "/orders/", None), ("POST", "/orders/9", b'{"user": {"id": 7}}'), ("GET", "/slow", None),
    ("GET", "/broken", None), ("GET", "/gone", None), ("GET", "/nowhere", None)]:
    client = http.client.HTTPConnection("127.0.0.1", int(os.environ["MOCKREC_PORT"]), timeout=20)
    headers = {"User-Agent": "calls/1"} | ({"Content-Type": "application/json"} if body else {})
    client.request(method, path, body, headers)
    try:
        client.getresponse().read()
    except http.client.RemoteDisconnected:
        pass
    client.close()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recorded session.jsonl."""
    folder = tmp_path_factory.mktemp("reading")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mockrec.cli", "run", "rules.yaml", "-o", "session.jsonl", "--", sys.executable, "-c", CALLS],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def jq(folder: Path, command: str) -> list[str]:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# What people type without reading anything first: short expressions over flat keys.
ONE_LINERS = {
    """jq -r 'select(.statusCode>=500)|"\\(.statusCode) \\(.method) \\(.url)"' session.jsonl""": 3,
    "jq -c 'select(.duration>200)|[.duration,.url]' session.jsonl": 1,
    """jq -r 'select(.type=="request").method' session.jsonl | sort | uniq -c""": 2,
    """jq -r 'select(.type=="request").headers["user-agent"]' session.jsonl""": 6,
    """jq -c 'select(.url//""|test("/orders/9"))|.body.text//empty|fromjson?' session.jsonl""": 1,
    """jq -sr 'map(select(.type=="response"))|group_by(.statusCode)|map("\\(.[0].statusCode)\\t\\(length)")[]' session.jsonl""": 4,
    """jq -c 'select(.type=="response")|.headers["set-cookie"]//empty|.[]' session.jsonl""": 2,
    """jq -c --arg id "$(jq -r 'select(.type=="response").id' session.jsonl | head -1)" 'select(.id==$id)|[.seq,.type]' session.jsonl""": 4,
    """jq -c 'select(.type=="rule-event")|{(.eventType):.eventData}' session.jsonl""": 1,
    """jq -r 'select(.type=="abort")|"\\(.error.code) \\(.url)"' session.jsonl""": 1,
    """jq -r 'select(.type=="response")|.timingEvents|.headersSentTimestamp-.bodyReceivedTimestamp' session.jsonl""": 5,
    """jq -r 'select(.duration)|[.timestamp,.statusCode//0,.method,.duration,.url]|@tsv' session.jsonl""": 6,
}  # fmt: skip


@pytest.mark.parametrize("command", ONE_LINERS)
def test_one_liners(folder: Path, command: str) -> None:
    lines = jq(folder, command)
    assert len(lines) == ONE_LINERS[command], lines


def documented() -> list[str]:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    return [line for line in re.findall(r"^(?:jq|tail) .*$", page, re.MULTILINE) if "tail -f" not in line]


def test_at_least_fourteen_are_documented() -> None:
    assert len(documented()) >= 14


@pytest.mark.parametrize("command", documented())
def test_documented_commands(folder: Path, command: str) -> None:
    jq(folder, command)


def test_the_readme_command(folder: Path) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^jq .*$", page, re.MULTILINE)
    assert json.loads(jq(folder, command)[0])[:2] == [200, "GET"]


def test_pandas_reads_it_as_it_is(folder: Path) -> None:
    frame = pandas.read_json(folder / "session.jsonl", lines=True, dtype_backend="pyarrow")
    responses = frame[frame["type"] == "response"]
    assert sorted(responses["statusCode"].astype(int)) == [200, 201, 500, 503, 503]
    assert responses["duration"].max() > 200
    assert str(frame["timestamp"].dtype).startswith(("timestamp", "datetime64"))


def test_it_is_read_while_it_is_written(tmp_path: Path) -> None:
    """COMMAND itself looks at the log and finds the exchange it has just had."""
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    look = """
import json, os, time, urllib.request
urllib.request.urlopen(os.environ["MOCKREC_URL"] + "/orders/").read()
deadline = time.monotonic() + 10
while True:
    lines = open("session.jsonl", "rb").read().split(b"\\n")
    # A batch becomes visible page by page: what is behind the last line end is still on its way.
    if any(json.loads(line)["type"] == "response" for line in lines[:-1]):
        break
    assert time.monotonic() < deadline
"""
    done = subprocess.run(
        [sys.executable, "-m", "mockrec.cli", "run", "rules.yaml", "-o", "session.jsonl", "--", sys.executable, "-c", look],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
