"""Secrets in every place of the traffic: a run writes and shows none of them, and the traffic keeps them all."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from programs import PROGRAM
from recorders import STOP_SECONDS, Session
from waiting import until_there

Start = Callable[..., Any]
Serve = Callable[..., Any]

PLACEHOLDER = re.compile(r"redacted-[0-9a-f]{8}")
SECRETS = {
    "header": "hdr-7Qm2xV9pLk",
    "cookie": "cke-8Rn3yW0qMl",
    "set-cookie": "stc-9So4zX1rNm",
    "query": "qry+0Tp5/aY2sOn",
    "userinfo": "usr-1Uq6bZ3tPo",
    "form": "frm 2Vr7&cA4uQp",
    "json": 'jsn-3Ws8"dB5vRq',
    "array": "arr-4Xt9eC6wSr",
    "websocket": "wsm-5Yu0fD7xTs",
    "gzip": "gzp-6Zv1gE8yUt",
    "rule-event": "evt-7Aw2hF9zVu",
    "error": "err-8Bx3iG0aWv",
}
RULES = """\
version: 1
rules:
  - {id: echo, when: {path: /ws, websocket: true}, then: echo}
  - {id: fails, when: {path: /fails}, then: {python: "handlers.py:fails"}}
  - {id: cookie, when: {path: /login}, then: {reply: {headers: {Set-Cookie: "sid=%(set-cookie)s; Path=/; HttpOnly"}, json: {ok: true}}}}
  - {id: on, when: {path: /on}, then: {forward: {to: "%(server)s"}}}
  - {id: all, then: {reply: {template: true, body: "you sent {{ request.body }}"}}}
"""
HANDLERS = """\
def fails(request):
    raise ValueError("cannot log in with password=%(error)s")
"""


class Terminal:
    """A recorder whose stderr is a terminal."""

    def __init__(self, folder: Path, rules: str, *options: str, env: dict[str, str] | None = None) -> None:
        folder.mkdir()
        self.folder = folder
        self.log = folder / "session.jsonl"
        (folder / "rules.yaml").write_text(rules, encoding="utf-8")
        (folder / "handlers.py").write_text(HANDLERS % SECRETS, encoding="utf-8")
        ready = folder / "ready.json"
        argv = [*PROGRAM, "run", "rules.yaml", "--port", "0", "--ready-file", ready, "-o", "session.jsonl", *options]
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            env={**os.environ, **(env or {})},
        )
        os.close(slave)
        self.shown = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until_there(ready, self.process, lambda: self.shown.decode("utf-8", "replace"))
        self.port: int = json.loads(ready.read_text())["port"]
        ready.unlink()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # EIO: the other end is closed
                return
            if not data:
                return
            self.shown += data

    def stop(self) -> Session:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        assert self.process.stdout is not None
        self.shown += self.process.stdout.read()
        self.process.stdout.close()
        os.close(self._master)
        session = Session(code, self.shown.decode("utf-8", "replace"), self.log)
        assert session.audit() == []
        return session

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                method, target, body or None, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            return connection.getresponse().read()
        finally:
            connection.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    running: list[Terminal] = []

    def start(*arguments: Any, **more: Any) -> Terminal:
        running.append(Terminal(tmp_path / str(len(running)), *arguments, **more))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def plant(run: Terminal) -> None:
    """Send every secret once, each in its place."""
    from urllib.parse import quote, quote_plus

    json_type = {"Content_Type": "application/json"}
    run.ask("GET", "/header", X_Api_Key=SECRETS["header"])
    run.ask("GET", "/cookie", Cookie=f"theme=dark; who={SECRETS['cookie']}")
    run.ask("GET", "/login")
    run.ask("GET", f"/query?a=1&access_token={quote(SECRETS['query'], safe='')}")
    host = f"127.0.0.1:{run.port}"
    run.ask("GET", f"http://me:{SECRETS['userinfo']}@{host}/userinfo", Host=host)
    form = f"user=me&password={quote_plus(SECRETS['form'])}&max_tokens=5"
    said = run.ask("POST", "/form", form.encode(), Content_Type="application/x-www-form-urlencoded")
    assert said == b"you sent " + form.encode()  # the traffic is unchanged
    deep = {"a": [{"b": {"clientSecret": SECRETS["json"], "max_tokens": "many"}}]}
    run.ask("POST", "/json", json.dumps(deep).encode(), **json_type)
    run.ask("POST", "/array", json.dumps({"token": ["x", SECRETS["array"]]}, indent=2).encode(), **json_type)
    packed = gzip.compress(json.dumps({"password": SECRETS["gzip"]}).encode())
    run.ask("POST", "/gzip", packed, Content_Encoding="gzip", **json_type)
    run.ask("GET", "/on")
    run.ask("GET", "/fails")
    message = json.dumps({"session": SECRETS["websocket"]})

    async def talk() -> None:
        async with websockets.connect(f"ws://{host}/ws", proxy=None) as opened:
            await opened.send(message)
            assert await opened.recv() == message

    asyncio.run(asyncio.wait_for(talk(), 20))


def forms(secret: str) -> set[bytes]:
    """Return the forms in which a file may contain a secret."""
    from urllib.parse import quote, quote_plus

    escaped = json.dumps(secret)[1:-1]
    return {
        form.encode()
        for form in (secret, escaped, json.dumps(escaped)[1:-1], quote(secret, safe=""), quote_plus(secret))
    }


def server_of(upstream: Serve) -> Any:
    return upstream(
        b"HTTP/1.1 200 OK\r\nX-Auth-Token: " + SECRETS["rule-event"].encode() + b"\r\nContent-Length: 2\r\n\r\nok"
    )


def test_twelve_secrets_in_twelve_places(terminal: Callable[..., Terminal], upstream: Serve) -> None:
    rules = RULES % {**SECRETS, "server": server_of(upstream).url}
    run = terminal(rules, "--events", "all")
    plant(run)
    session = run.stop()
    assert "secrets redacted" in session.stderr
    assert "GET /query?a=1&access_token=redacted-" in session.stderr
    # The rules and the user's code have the secrets; Python may have compiled the code.
    written = [
        path
        for path in run.folder.rglob("*")
        if path.is_file() and path.name not in ("rules.yaml", "handlers.py") and path.suffix != ".pyc"
    ]
    for place, secret in SECRETS.items():
        for form in forms(secret):
            assert form not in run.shown, place
            for path in written:
                assert form not in path.read_bytes(), (place, path)
    header = session.one("session-started")
    assert header["redaction"]["mode"] == "default"
    assert re.fullmatch("[0-9a-f]{8}", header["redaction"]["keyId"])
    assert session.one("session-ended")["redactions"] >= 12
    text = run.log.read_text()
    assert '"max_tokens\\": \\"many' in text
    assert "max_tokens=5" in text


def test_redact_none_keeps_everything(terminal: Callable[..., Terminal], upstream: Serve) -> None:
    run = terminal(RULES % {**SECRETS, "server": server_of(upstream).url}, "--redact", "none")
    plant(run)
    session = run.stop()
    assert "with secrets" in session.stderr
    log = run.log.read_bytes()
    for place, secret in SECRETS.items():
        assert any(form in log for form in forms(secret)), place
    assert session.one("session-started")["redaction"] == {"mode": "none"}
    assert session.one("session-ended")["redactions"] == 0


@pytest.mark.parametrize("passed_on", [False, True], ids=["mocked", "passed on"])
def test_each_exchange_counts_the_same(recorder: Start, passed_on: bool) -> None:
    """A secret that the response repeats, in a head that is cached."""
    rules = 'version: 1\nrules: [{then: {reply: {body: "{{ request.headers.authorization }}", template: true}}}]\n'
    counts = []
    for exchanges in (1, 2, 10):
        run = recorder(rules, out=f"{exchanges}.jsonl")
        through = recorder(None, "--upstream", run.url, out=f"{exchanges}-passed.jsonl") if passed_on else run
        client = http.client.HTTPConnection("127.0.0.1", through.port, timeout=20)
        for _ in range(exchanges):
            client.request("GET", "/", headers={"Authorization": "Bearer abcdef-0123456789"})
            assert b"abcdef-0123456789" in client.getresponse().read()
        client.close()
        session = through.stop()
        counts.append(session.one("session-ended")["redactions"])
        assert b"abcdef-0123456789" not in through.log.read_bytes()
    assert counts == [counts[0], 2 * counts[0], 10 * counts[0]]


SAME = "same-secret-0123"


def same_marks(run: Terminal) -> set[str]:
    """One secret in many places; its placeholders in the log."""
    run.ask(
        "POST", f"/a?token={SAME}", json.dumps({"password": SAME, "said": f"it is {SAME}"}).encode(), X_Api_Key=SAME
    )
    run.ask("GET", "/b", Authorization=f"Bearer {SAME}", Cookie=f"c={SAME}")
    run.stop()
    log = run.log.read_text()
    assert SAME not in log
    return set(PLACEHOLDER.findall(log))


def test_equal_secrets_have_equal_marks(terminal: Callable[..., Terminal]) -> None:
    rules = "version: 1\nrules: [{then: {reply: {template: true, body: '{{ request.body }}'}}}]\n"
    first, second = same_marks(terminal(rules)), same_marks(terminal(rules))
    assert len(first) == len(second) == 1
    assert first != second
    env = {"MOCKREC_REDACT_KEY": "a key of the team"}
    third, fourth = same_marks(terminal(rules, env=env)), same_marks(terminal(rules, env=env))
    assert third == fourth
    assert third != first


def test_selectors(terminal: Callable[..., Terminal]) -> None:
    rules = """\
version: 1
record:
  redact:
    add: ["header:X-Tenant", "json:$.user.name", "request.query:who", "text:[0-9]{4}-[0-9]{4}-[0-9]{4}"]
    keep: ["cookie:theme", "name:csrf"]
rules: [{then: {reply: {status: 204}}}]
"""
    run = terminal(rules)
    body = {"user": {"name": "Alice Liddell", "age": 7}, "note": "card 1234-5678-9012", "csrf": "kept-token-1"}
    run.ask(
        "POST",
        "/x?who=me-myself",
        json.dumps(body).encode(),
        X_Tenant="tenant-77",
        Cookie="theme=dark-mode; sid=abcdefgh",
    )
    run.stop()
    log = run.log.read_text()
    for secret in ("Alice Liddell", "tenant-77", "me-myself", "1234-5678-9012", "abcdefgh"):
        assert secret not in log
    for kept in ("dark-mode", "kept-token-1"):
        assert kept in log


def test_values_of_the_environment(terminal: Callable[..., Terminal]) -> None:
    """They are replaced wherever they appear, under any name."""
    rules = (
        "version: 1\nrules: [{id: a, then: {reply: {headers: {X-Plain: 'is ${THE_VALUE}'}, body: '${THE_VALUE}'}}}]\n"
    )
    run = terminal(rules, env={"THE_VALUE": "from-outside-42"})
    assert run.ask("GET", "/a/from-outside-42") == b"from-outside-42"
    session = run.stop()
    assert b"from-outside-42" not in run.log.read_bytes()
    assert session.one("response")["body"]["redacted"] is True


def test_callbacks_get_what_the_log_has(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    handlers = f"def seen(event):\n    open({str(seen)!r}, 'a').write(repr(event))\n"
    (tmp_path / "callbacks.py").write_text(handlers)
    rules = f"version: 1\nrecord: {{callbacks: {{request: '{tmp_path}/callbacks.py:seen'}}}}\nrules: [{{then: {{reply: {{}}}}}}]\n"
    run = terminal(rules)
    run.ask("GET", "/x", Authorization="Bearer qwertzuiop")
    run.stop()
    assert "qwertzuiop" not in seen.read_text()
    assert "Bearer redacted-" in seen.read_text()


def test_a_head_that_is_none(terminal: Callable[..., Terminal]) -> None:
    """A client-error contains the bytes of the malformed request, and these may contain secrets too."""
    run = terminal("version: 1\nrules: []\n")
    with socket.create_connection(("127.0.0.1", run.port)) as sock:
        sock.sendall(
            b"GET /?token=aaaabbbb HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ccccdddd\r\nCookie: e=eeeeffff\r\nbad line\r\n\r\n"
        )
        assert b" 400 " in sock.recv(65536)
    session = run.stop()
    log = run.log.read_bytes()
    for secret in (b"aaaabbbb", b"ccccdddd", b"eeeeffff"):
        assert secret not in log
    assert "redacted-" in session.one("client-error")["request"]["rawHead"]["text"]


def test_a_blank_of_a_form_is_one_in_its_pieces_too(terminal: Callable[..., Terminal]) -> None:
    run = terminal("version: 1\nrecord: {events: all}\nrules: [{then: {reply: {}}}]\n")
    body = b"payload=%7B%22client_secret%22+%3A+%22qwertzuiop42%22%7D"
    with socket.create_connection(("127.0.0.1", run.port)) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert b" 200 " in sock.recv(65536)
    session = run.stop()
    assert "redacted-" in session.one("request-body-data")["content"]["text"]
    assert b"qwertzuiop42" not in run.log.read_bytes()
