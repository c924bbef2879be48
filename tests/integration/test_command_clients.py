"""`run … -- CLIENT`: programs as they are, against an HTTPS server, recorded through the proxy of their environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]

PYTHON = {
    "urllib": "import urllib.request; print(urllib.request.urlopen('{url}').read().decode())",
    "requests": "import requests; print(requests.get('{url}').text)",
    "httpx": "import httpx; print(httpx.get('{url}').text)",
    "aiohttp": (
        "import asyncio, aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession(trust_env=True) as session, session.get('{url}') as response:\n"
        "        print(await response.text())\n"
        "asyncio.run(main())"
    ),
}
JAVA = """\
import java.net.*; import java.net.http.*;
public class Ask { public static void main(String[] args) throws Exception {
    System.out.println(new String(((HttpURLConnection) new URL(args[0]).openConnection()).getInputStream().readAllBytes()));
    HttpRequest request = HttpRequest.newBuilder(URI.create(args[0])).version(HttpClient.Version.HTTP_1_1).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
} }
"""
NODE = """\
import https from 'node:https';
console.log(await (await fetch('{url}')).text());
https.get('{url}', (answer) => answer.setEncoding('utf8').on('data', (text) => console.log(text)));
"""


def a_node() -> str | None:
    """A Node that reads NODE_USE_ENV_PROXY."""
    for program in (os.environ.get("MOCKREC_TEST_NODE"), shutil.which("node")):
        if program is not None:
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            if int(said.strip().removeprefix("v").partition(".")[0]) >= 24:
                return program
    return None


@pytest.fixture
def recorded(
    program: Make, upstream: Make, pki: Any, tmp_path: Path
) -> Callable[..., tuple[str, list[dict[str, Any]]]]:
    """`recorded("curl", "{url}")`: what the client prints, and the requests in the log; {url} is the server's."""
    server = upstream(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello", tls=pki.server()
    )
    (tmp_path / "rules.yaml").write_text(
        f"version: 1\nupstream: {{trustedCAs: ['{pki.ca}']}}\nunmatched: passthrough\n"
    )

    def record(*command: str | Path, code: int = 0) -> tuple[str, list[dict[str, Any]]]:
        argv = [str(word).replace("{url}", f"https://localhost:{server.port}/x") for word in command]
        env = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        env["MOCKREC_CA_DIR"] = str(tmp_path / "ca")
        done = program("run", "rules.yaml", "-o", "s.jsonl", "--", *argv, env=env)
        assert done.returncode == code, done.stdout + done.stderr
        records = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text(encoding="utf-8").splitlines()]
        assert not [one for one in records if one["type"] == "tls-client-error"]
        requests = [one for one in records if one["type"] == "request"]
        assert all(one["url"].startswith(f"https://localhost:{server.port}/") for one in requests)
        assert len(server.requests) == len(requests) > 0
        return done.stdout, requests

    record.url = f"https://localhost:{server.port}/x"  # type: ignore[attr-defined]
    return record


def needs(name: str) -> Any:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


@needs("curl")
def test_curl(recorded: Any) -> None:
    said, requests = recorded("curl", "-sS", "--http1.1", "-i", "{url}")
    # The original answer, byte for byte.
    assert (
        said
        == "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello".replace(
            "\r\n", "\n"
        )
    )
    assert requests[0]["tlsMetadata"]["sniHostname"] == "localhost"


@pytest.mark.parametrize("name", PYTHON)
def test_python(recorded: Any, name: str) -> None:
    said, requests = recorded(sys.executable, "-c", PYTHON[name])
    assert said == "hello\n"
    assert len(requests) == 1


@needs("wget")
def test_wget(recorded: Any) -> None:
    said, _ = recorded("wget", "-q", "-O", "-", "{url}")
    assert said == "hello"


@needs("git")
def test_git(recorded: Any) -> None:
    _, requests = recorded("git", "ls-remote", "{url}.git")
    assert requests[0]["path"] == "/x.git/info/refs?service=git-upload-pack"


def test_pip(recorded: Any) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "-q"]
    _, requests = recorded(*argv, "--index-url", "{url}", "nosuchpackage", code=1)
    assert requests[0]["path"] == "/x/nosuchpackage/"


@needs("java")
def test_java(recorded: Any, tmp_path: Path) -> None:
    (tmp_path / "Ask.java").write_text(JAVA)
    said, requests = recorded("java", "Ask.java", "{url}")
    assert said == "hello\nhello\n"
    assert len(requests) == 2


def test_node(recorded: Any, tmp_path: Path) -> None:
    node = a_node()
    if node is None:
        pytest.skip("no Node >= 24 here: .ci/tools installs one (MOCKREC_TEST_NODE)")
    (tmp_path / "ask.mjs").write_text(NODE.replace("{url}", recorded.url))
    said, requests = recorded(node, "ask.mjs")
    assert said == "hello\nhello\n"
    assert len(requests) == 2


def test_the_files_of_the_command_are_gone_after_it(recorded: Any) -> None:
    code = "import os, requests; requests.get('{url}'); print(os.environ['SSL_CERT_FILE'], os.path.isfile(os.environ['SSL_CERT_FILE']))"
    said, _ = recorded(sys.executable, "-c", code)
    path, there = said.split()
    assert there == "True"
    assert not Path(path).exists()


PAGE = b'<html><head><script src="/a.js"></script></head><body><img src="/i.png"></body></html>'
SCRIPT = b"fetch('/data', {method: 'POST', body: 'x'}).then((answer) => { document.title = 'done ' + answer.status; });"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium(recorder: Make, upstream: Make, pki: Any, tmp_path: Path, program: Make) -> None:
    contents = {"/": ("text/html", PAGE), "/a.js": ("text/javascript", SCRIPT)}

    def answer(request: Any) -> bytes:
        kind, body = contents.get(request.start.split(" ")[1], ("text/plain", b"ok"))
        return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind.encode(), len(body), body)

    server = upstream(answer, tls=pki.server())
    run = recorder(f"version: 1\nupstream: {{trustedCAs: ['{pki.ca}']}}\nunmatched: passthrough\n", *pki.options)
    shown = json.loads(program("ca", "show", "--ca-cert", pki.ca, "--as", "json").stdout)
    flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    done = subprocess.run(
        ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--proxy-server={run.url}",
         "--proxy-bypass-list=<-loopback>", f"--ignore-certificate-errors-spki-list={shown['spkiSha256']}",
         "--virtual-time-budget=5000", "--dump-dom", f"https://localhost:{server.port}/"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "<title>done 200</title>" in done.stdout, done.stdout + done.stderr[-2000:]
    session = run.stop()
    ours = {
        (one["method"], one["path"]) for one in session.by_type("request") if f"localhost:{server.port}/" in one["url"]
    }
    assert {("GET", "/"), ("GET", "/a.js"), ("GET", "/i.png"), ("POST", "/data")} <= ours
    # It opens connections ahead, and closes those it turns out not to need, in the middle of their handshake too.
    assert {one["failureCause"] for one in session.by_type("tls-client-error")} <= {"closed"}
