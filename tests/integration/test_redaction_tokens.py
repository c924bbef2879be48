"""A token of every kind goes through the recorder, each in another place of an exchange: the recorder writes none of them,
shows none, and passes none to callbacks. Malformed heads are among the places.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import token_samples
import websockets
from programs import PROGRAM
from recorders import STOP_SECONDS
from waiting import until_there

RULES = """\
version: 1
record: {events: all, callbacks: {request: "seen.py:seen", response: "seen.py:seen", abort: "seen.py:seen"}}
rules:
  - {when: {path: /ws, websocket: true}, then: echo}
  - {when: {path: /fails}, then: {python: "seen.py:fails"}}
  - {when: {path: /stream}, then: {reply: {template: true, headers: {Content-Type: text/event-stream}, body: "data: {{ request.body }}\\n\\n"}}}
  - {then: {reply: {template: true, headers: {X-Said: "{{ request.headers['x-say'] }}"}, body: "{{ request.body }}"}}}
"""
SEEN = """\
import json

def seen(event):
    with open("seen.txt", "a") as file:
        file.write(repr(event) + "\\n")

def fails(request):
    raise ValueError("cannot log in with " + request.body.decode())
"""


def head(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: h", "Connection: close", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


PLACES: dict[str, Callable[[str], bytes]] = {
    "path": lambda token: head("GET", f"/a/{quote(token)}/b"),
    "query": lambda token: head("GET", f"/a?x={quote(token, safe='')}&y=1"),
    "header": lambda token: head("GET", "/a", b"", f"X-Say: {token}"),
    "cookie": lambda token: head("GET", "/a", b"", f"Cookie: theme={token}"),
    "form": lambda token: head("POST", "/a", f"a={quote_plus(token)}&b=1".encode(), "Content-Type: application/x-www-form-urlencoded"),
    "JSON": lambda token: head("POST", "/a", json.dumps({"a": [token]}).encode(), "Content-Type: application/json"),
    "JSON key": lambda token: head("POST", "/a", json.dumps({token: 1}).encode(), "Content-Type: application/json"),
    "text": lambda token: head("POST", "/a", f"it is {token}!".encode(), "Content-Type: text/plain"),
    "HTML": lambda token: head("POST", "/a", f'<p title="{token}">'.encode(), "Content-Type: text/html"),
    "XML": lambda token: head("POST", "/a", f"<a>{token}</a>".encode(), "Content-Type: application/xml"),
    "multipart": lambda token: head(
        "POST", "/a", f'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{token}\r\n--x--\r\n'.encode(), "Content-Type: multipart/form-data; boundary=x"
    ),
    "trailer": lambda token: head("POST", "/a", b"", "Transfer-Encoding: chunked") + f"1\r\na\r\n0\r\nX-End: {token}\r\n\r\n".encode(),
    "events": lambda token: head("POST", "/stream", token.encode()),
    "gzip": lambda token: head("POST", "/a", gzip.compress(json.dumps({"a": token}).encode()), "Content-Encoding: gzip", "Content-Type: application/json"),
    "error": lambda token: head("POST", "/fails", token.encode(), "Content-Type: text/plain"),
    "refused": lambda token: head("GET", "/a", b"", f"X-Thing : {token}"),
    "folded": lambda token: head("GET", "/a", b"", f"X-Thing: a\r\n {token}"),
    "cut": lambda token: f"GET /a HTTP/1.1\r\nHost: h\r\nX-Thing: {token}".encode(),
    "no HTTP": lambda token: f"EHLO {token}\r\n".encode(),
}  # fmt: skip
HEADS = [
    "Authorization: Bearer\r\n {}", "Authorization : Bearer {}", " Authorization: Bearer {}", "X-Api-Key:\r\n\t{}", "X-Api-Key : {}",
    "Cookie: a=b;\r\n c={}", "Authorization Bearer {}", "Proxy-Authorization : Basic {}", 'Authorization : Hawk id="a", mac="{}"',
    "Authorization: {}", "Set-Cookie: a=1; Path=/, b={}", "DPoP: {}", "Content-Type: application/json\r\nX-Api-Key : {}",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]]]:
    """Return the folder with the outputs of a run with all tokens, and the tokens."""
    place = tmp_path_factory.mktemp("tokens")
    (place / "rules.yaml").write_text(RULES, encoding="utf-8")
    (place / "seen.py").write_text(SEEN, encoding="utf-8")
    outputs = [argument for name in ("s.jsonl", "s.har", "s.parquet") for argument in ("-o", name)]
    with (place / "shown.txt").open("wb") as shown:
        run = subprocess.Popen(
            [*PROGRAM, "run", "rules.yaml", "--port", "0", "--ready-file", "ready.json", *outputs],
            cwd=place, stdin=subprocess.DEVNULL, stdout=shown, stderr=shown, env={**os.environ, "COLUMNS": "400"},
        )  # fmt: skip
    try:
        until_there(place / "ready.json", run)
        port = json.loads((place / "ready.json").read_text())["port"]
        given = list(plant(port))
        run.send_signal(signal.SIGINT)
        assert run.wait(STOP_SECONDS) == 0
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
    for source, target in (("s.jsonl", "converted.har"), ("s.har", "converted.jsonl"), ("s.parquet", "rows.jsonl")):
        subprocess.run(
            [*PROGRAM, "filter", source, "-o", target], cwd=place, check=True, capture_output=True, timeout=60
        )
    with (place / "told.txt").open("wb") as told:
        for command in (("show", "s.jsonl"), ("filter", "s.jsonl", "--fields", "url,path,error,headers")):
            subprocess.run([*PROGRAM, *command], cwd=place, stdout=told, stderr=told, check=False, timeout=60)
    (place / "rules.yaml").unlink()
    return place, given


def plant(port: int) -> Iterator[tuple[str, str]]:
    samples = token_samples.every_sample(2)
    names = list(PLACES)
    for at, (kind, token) in enumerate(samples):
        where = names[at % len(names)]
        if where == "error":
            assert b"500" in ask(port, PLACES[where](token)).split(b"\r\n")[0]
        else:
            ask(port, PLACES[where](token))
        yield f"{kind} in {where}", token
    for at, line in enumerate(HEADS):
        secret = f"hd{at}-Zq8{'wV3x' * 4}{at}"
        ask(port, head("GET", "/a", b"", line.format(secret)) if not line.startswith(" ") else
            f"GET /a HTTP/1.1\r\n{line.format(secret)}\r\nHost: h\r\n\r\n".encode())  # fmt: skip
        yield line, secret
    ask(port, b"CONNECT me:cp-7Rt5wQ2xZ9@h:443 HTTP/1.1\r\nHost : h\r\n\r\n")
    yield "CONNECT", "cp-7Rt5wQ2xZ9"
    ask(port, b"\x05\x01\x02\x01\x02me\x0dsk9-Qv3Lw7Xz1\x05\x01")
    yield "SOCKS", "sk9-Qv3Lw7Xz1"
    ask(port, head("GET", "/cb?code=oc-5Tn8rY3kWq&state=af0ifjsldkj"))
    yield "OAuth code", "oc-5Tn8rY3kWq"
    form = (
        b"grant_type=authorization_code&code=of-6Un9sZ4lXr&code_verifier=ov-7Vo0tA5mYs&client_assertion=oa-8Wp1uB6nZt"
    )
    ask(port, head("POST", "/token", form, "Content-Type: application/x-www-form-urlencoded"))
    yield from [("form code", "of-6Un9sZ4lXr"), ("verifier", "ov-7Vo0tA5mYs"), ("assertion", "oa-8Wp1uB6nZt")]
    message = samples[-1][1]

    async def talk() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as opened:
            await opened.send(f"it is {message}")
            assert await opened.recv() == f"it is {message}"

    asyncio.run(asyncio.wait_for(talk(), 20))
    yield "WebSocket", message


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(data)
        if b"Connection: close" not in data:
            client.shutdown(socket.SHUT_WR)  # a client that half-closes while a rule runs counts as gone
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def forms(secret: str) -> set[bytes]:
    """Return the forms of a secret in a file: plain, in JSON, in JSON in JSON, in a URL, in base64 at each alignment."""
    escaped = json.dumps(secret)[1:-1]
    core = secret[-14:]
    plain = {
        secret,
        core,
        escaped,
        json.dumps(escaped)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        quote(core, safe=""),
    }
    encoded = {
        base64.b64encode(b"x" * shift + core.encode())[(8 * shift + 5) // 6 : -4].rstrip(b"=") for shift in range(3)
    }
    return {form.encode() for form in plain} | encoded


def test_no_artifact_holds_a_token(folder: tuple[Path, list[tuple[str, str]]]) -> None:
    place, given = folder
    assert len(given) > 200
    files = {
        path.relative_to(place): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != "seen.py"
    }
    assert {"s.jsonl", "s.har", "s.parquet", "seen.txt", "shown.txt", "told.txt", "rows.jsonl"} <= {
        str(path) for path in files
    }
    left = [
        (name, str(path))
        for name, secret in given
        for form in forms(secret)
        for path, data in files.items()
        if form in data
    ]
    assert left == []
    for name in ("s.jsonl", "s.har", "seen.txt", "told.txt", "rows.jsonl"):
        assert len(re.findall(rb"redacted-[0-9a-f]{8}", files[Path(name)])) > 50, name


def test_everything_was_recorded(folder: tuple[Path, list[tuple[str, str]]]) -> None:
    place, given = folder
    records = [json.loads(line) for line in (place / "s.jsonl").read_text(encoding="utf-8").splitlines()]
    ends = [one["type"] for one in records if one["type"] in ("response", "client-error", "websocket-close", "abort")]
    assert len(ends) >= len(given) - 2  # a form holds three
