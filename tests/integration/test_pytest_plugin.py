"""The pytest plugin: suites that use it, each run by pytest as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from upstreams import Received, StartUpstream

from mockrec.formats.files.scope_names import scope_name
from mockrec.formats.session import open_session

CLIENTS = """
import ssl
import subprocess
import unittest

import aiohttp
import httpx
import pytest
import requests
import urllib3


def test_httpx(mockrec):
    mockrec.reply("POST /orders", status=201, json={"ok": True}, headers={"X-Kind": "new"})
    answer = httpx.post(f"{mockrec.url}/orders", json={"currency": "EUR"}, trust_env=False)
    assert (answer.status_code, answer.json(), answer.headers["x-kind"]) == (201, {"ok": True}, "new")
    mockrec.assert_called("method == POST and path == /orders", times=1)
    mockrec.assert_not_called("method == GET")
    (seen,) = mockrec.exchanges("path == /orders")
    assert (seen.request.json()["currency"], seen.scope, seen.response.status) == ("EUR", mockrec.scope, 201)


def test_httpx_over_tls(mockrec):
    trust = ssl.create_default_context(cafile=mockrec.ca)
    mockrec.reply("/items/{id}", body="item")
    with httpx.Client(proxy=mockrec.proxy_url, verify=trust) as client:
        assert client.get("https://api.test/items/7").text == "item"


def test_requests(mockrec):
    mockrec.reply("GET https://api.test/x?a=1", json=[1])
    assert requests.get("https://api.test/x?a=1", proxies=mockrec.proxies, verify=mockrec.ca).json() == [1]
    assert mockrec.pending() == []


def test_urllib3(mockrec):
    mockrec.reply("/y", body=b"\\xff\\x00")
    with urllib3.ProxyManager(mockrec.url, ca_certs=mockrec.ca) as manager:
        assert manager.request("GET", "https://api.test/y").data == b"\\xff\\x00"
    assert mockrec.exchanges()[0].response.content == b"\\xff\\x00"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_aiohttp(mockrec, anyio_backend):
    mockrec.reply("/z", json={})
    trust = ssl.create_default_context(cafile=mockrec.ca)
    async with aiohttp.ClientSession() as session:
        async with session.get("https://api.test/z", proxy=mockrec.proxy_url, ssl=trust) as answer:
            assert await answer.json() == {}
    mockrec.assert_called("path == /z")


def test_curl(mockrec):
    mockrec.reply("https://api.test/c", body="curl")
    run = subprocess.run(["curl", "--silent", "https://api.test/c"], env=mockrec.env, capture_output=True, timeout=60)
    assert run.stdout == b"curl"
    assert mockrec.exchanges()[0].scope == mockrec.scope


def test_node(mockrec):
    mockrec.reply("/n", body="node")
    script = "fetch(process.env.MOCKREC_URL + '/n').then(answer => answer.text()).then(console.log)"
    run = subprocess.run(["node", "-e", script], env=mockrec.env, capture_output=True, timeout=60)
    assert run.stdout == b"node\\n", run.stderr


def test_the_environment(mockrec_env, mockrec):
    mockrec.reply("https://api.test/e", body="e")
    assert requests.get("https://api.test/e").text == "e"


def test_a_sequence(mockrec):
    mockrec.reply("/s", body="1")
    mockrec.reply("/s", body="2")
    assert [httpx.get(mockrec.url + "/s", trust_env=False).text for _ in range(3)] == ["1", "2", "2"]


def test_rules_of_the_language(mockrec):
    ids = mockrec.rules("rules:\\n- {id: mine, when: {path: /f}, then: {close: true}}\\n")
    assert ids == ["mine"] == mockrec.pending()


class TestOfUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use(self, mockrec):
        self.mockrec = mockrec

    def test_it(self):
        self.mockrec.reply("/u", json=1)
        self.assertEqual(httpx.get(self.mockrec.url + "/u", trust_env=False).json(), 1)
        self.assertEqual(len(self.mockrec.exchanges()), 1)


def test_nothing_is_left(mockrec):
    assert mockrec.exchanges() == []
    assert httpx.get(mockrec.url + "/u", trust_env=False).status_code == 503
"""

FAILING = """
import httpx


def test_fails(mockrec):
    mockrec.reply("POST /orders", json={})
    httpx.get(f"{mockrec.url}/elsewhere", trust_env=False)
    httpx.post(f"{mockrec.url}/order", json={"a": 1}, trust_env=False, headers={"Authorization": "Bearer hush-hush-1"}, params={"key": "hush-hush-1"})
    mockrec.assert_called("method == POST and path == /orders", times=1)


def test_passes(mockrec):
    pass
"""

MANY = """
import httpx
import pytest


@pytest.mark.parametrize("number", range(200))
def test_one(mockrec, number):
    mockrec.reply(f"/{number}", body=str(number))
    assert httpx.get(f"{mockrec.url}/{number}", trust_env=False).text == str(number)
    assert [(one.request.path, one.scope) for one in mockrec.exchanges()] == [(f"/{number}", mockrec.scope)]
"""

CASSETTE = """
import httpx
import pytest


@pytest.mark.mockrec(cassette="{name}")
def test_recorded(mockrec):
    with httpx.Client(base_url=mockrec.url, trust_env=False) as client:
        assert client.get("/7").text == "7"
        assert client.get("/nothing").status_code == 503
    assert len(mockrec.exchanges("tag == replay-miss")) == 1


@pytest.mark.mockrec(cassette="nowhere.jsonl")
def test_nowhere(mockrec):
    pass


@pytest.mark.mockrec(casette="{name}")
def test_misspelt(mockrec):
    pass
"""


def run_pytest(folder: Path, suite: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a suite in a folder, by a pytest of its own."""
    (folder / "test_suite.py").write_text(suite, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300, env=env)


def test_clients_and_kinds_of_tests(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, CLIENTS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "12 passed" in run.stdout


def test_a_failing_test_shows_what_was_asked(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, FAILING, "--mockrec-report", "page.html")
    assert run.returncode == 1
    assert "expected 1 request that matches: method == POST and path == /orders" in run.stdout
    nearest = re.findall(
        r"^E +\d\. (\w+) \S+/(\w+)(?:\?\S*)? → 503 \(no rule matched\); not: (.*)$", run.stdout, re.MULTILINE
    )
    assert nearest == [
        ("POST", "order", "path == /orders"),
        ("GET", "elsewhere", "method == POST, not: path == /orders"),
    ]
    assert "mockrec exchanges" in run.stdout
    section = run.stdout.partition("mockrec exchanges")[2]
    assert "POST http://127.0.0.1" in section
    assert "hush-hush-1" not in section
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<details") == 2
    assert "test_suite.py::test_fails: failed" in page


def test_four_workers_and_two_hundred_tests(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, MANY, "-n", "4", "--mockrec-record", "session.jsonl")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "200 passed" in run.stdout
    seen = []
    for path in sorted(tmp_path.glob("session.gw*.jsonl")):
        with open_session(path) as session:
            seen += [(record["scope"], record["path"]) for _, record in session if record["type"] == "request"]
    assert sorted(seen) == sorted((f"test_suite.py::test_one[{n}]", f"/{n}") for n in range(200))
    recording = next(path for path in tmp_path.glob("session.gw*.jsonl") if b'"path":"/7"' in path.read_bytes())
    run = run_pytest(tmp_path, CASSETTE.replace("{name}", recording.name))
    assert run.returncode == 1
    assert "1 passed, 2 errors" in run.stdout, run.stdout + run.stderr
    assert "the marker mockrec has no casette" in run.stdout
    assert re.search("test_nowhere: .*nowhere.jsonl", run.stdout)


RECORDING = """
import os

import httpx
import pytest


@pytest.mark.parametrize("number", range(4))
def test_one(mockrec, number):
    url = f"{os.environ['SERVER']}/{number}"
    with httpx.Client(proxy=mockrec.proxy_url, trust_env=False, timeout=60) as client:
        assert client.get(url).text == f"/{number}"
    assert number != 3 or "PASS" in os.environ
"""


def test_each_test_records_a_cassette_of_its_own_if_it_passes(
    tmp_path: Path, upstream: StartUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(received: Received) -> bytes:
        text = received.target.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)

    server = upstream(answer)
    monkeypatch.setenv("SERVER", server.url)
    folder = tmp_path / "a {folder}"  # whose braces are no placeholder
    folder.mkdir()
    replay = ("--mockrec-replay", "cassettes/{scope}.jsonl")
    record = ("--mockrec-on-miss", "record", "--mockrec-record", "sessions/{scope}.jsonl")
    run = run_pytest(folder, RECORDING, "-n", "2", *replay, *record)
    assert "1 failed, 3 passed" in run.stdout, run.stdout + run.stderr
    names = [f"{scope_name(f'test_suite.py::test_one[{number}]')}.jsonl" for number in range(3)]
    assert sorted(path.name for path in (folder / "cassettes").glob("*.jsonl")) == sorted(names)
    names.append(f"{scope_name('test_suite.py::test_one[3]')}.jsonl")  # a session has what failed, too
    assert sorted(path.name for path in (folder / "sessions").glob("*.jsonl")) == sorted(names)
    server.close()
    # Without the server: the tests that were recorded pass, and the one that failed has nothing to pass with.
    monkeypatch.setenv("PASS", "1")
    run = run_pytest(folder, RECORDING, *replay)
    assert "1 failed, 3 passed" in run.stdout, run.stdout + run.stderr
    assert "No recording answers this request" in run.stdout
    marked = RECORDING.replace("@pytest", "@pytest.mark.mockrec(cassette='one.jsonl', on_miss='record')\n@pytest", 1)
    for suite, options in ((RECORDING, ("--mockrec-replay", "one.jsonl", *record[:2])), (marked, ())):
        run = run_pytest(folder, suite, "-n", "2", *options)
        assert "tests that record need a file each" in run.stdout
