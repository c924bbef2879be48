"""Recording to an object store, and reading from it: S3 as moto's server plays it."""

from __future__ import annotations

import http.client
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileSystem

if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
    pytest.skip("moto[server] is not installed", allow_module_level=True)

RULES = """
version: 1
rules:
  - {id: a, when: {method: GET}, then: {reply: {body: "answer"}}}
"""
SERVER = """
import sys
import boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
key = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **key).create_bucket(Bucket="sessions")
print(port, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def store() -> Iterator[int]:
    """The port of an S3 with the bucket `sessions`."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield port
        server.stdin.close()
        server.kill()


@pytest.fixture
def uri(store: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return lambda path: f"s3://{path}?region=us-east-1&scheme=http&endpoint_override=127.0.0.1%3A{store}"


def ask(port: int, count: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(count):
        client.request("GET", f"/{number}")
        client.getresponse().read()
    client.close()


def rows(uri: str, folder: str) -> list[dict[str, Any]]:
    filesystem, path = FileSystem.from_uri(uri)
    return pq.read_table(f"{path.rstrip('/')}/{folder}".rstrip("/"), filesystem=filesystem).to_pylist()


@pytest.mark.parametrize("name", ["s.parquet", "set/"])
def test_a_session_goes_to_a_bucket_and_is_read_there(
    recorder: Callable[..., Any], program: Callable[..., Any], uri: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    place = uri(f"sessions/run-1/{name}")
    running = recorder(RULES, "-o", place, out="s.jsonl")
    ask(running.port, 5)
    session = running.stop()
    assert session.code == 0, session.stderr
    done = program("verify", place)
    assert done.returncode == 0, done.stderr
    assert "5 exchanges" in done.stdout
    events = rows(place, "events" if name == "set/" else "")
    assert [row["seq"] for row in events] == [record["seq"] for record in session.records]
    if name == "set/":
        assert [row["statusCode"] for row in rows(place, "exchanges")] == [200] * 5
    assert not list(tmp_path.glob("*.journal")), "the journal is gone when the objects are there"
    again = program("run", "rules.yaml", "--port", "0", "-o", place)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_bucket_that_is_not_there_is_told_before_anything_is_recorded(
    program: Callable[..., Any], uri: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    done = program("run", "rules.yaml", "--port", "0", "-o", uri("nowhere/s.parquet"))
    assert done.returncode == 3, done.stderr
    assert "nowhere" in done.stderr
    assert "ready" not in done.stderr
    assert not list(tmp_path.glob("*.journal"))
