"""Mistakes that users made, and the words that they read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli import nothing_received
from mockrec.cli.filter_hints import slashes_hint
from mockrec.cli.live_view import LiveView
from mockrec.cli.misplaced import command_hint, quotes_hint
from mockrec.engine.server.refusal import Refusals, tls_words

Mockrec = Callable[..., Any]
ID = "aaaaaaaa-1111-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which `pytest` and `go` are programs."""
    (tmp_path / "bin").mkdir()
    for name in ("pytest", "go"):
        program = tmp_path / "bin" / name
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def session(recording: Any, folder: Path) -> Path:
    return recording.start().exchange(ID).end().write(folder / "s.jsonl")


def rules(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(f"rules:\n  - {text}\n", encoding="utf-8")
    return path


# ── a COMMAND without `--` ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["-o", "a.jsonl", "pytest", "-q"], "mockrec run -o a.jsonl -- pytest -q"),
        (["-o", "a.jsonl", "pytest", "-k", "one two"], "mockrec run -o a.jsonl -- pytest -k 'one two'"),
        (["rules.yaml", "pytest", "tests"], "mockrec run rules.yaml -- pytest tests"),
        (["go", "test", "./..."], "mockrec run -- go test ./..."),
        (["./missing.sh"], "mockrec run -- ./missing.sh"),
    ],
)
def test_a_command_without_dashes(mockrec: Mockrec, folder: Path, typed: list[str], words: str) -> None:
    rules(folder, "{when: {path: /a}, then: close}")
    done = mockrec("run", *typed)
    assert done.code == 2
    assert f"COMMAND stands behind `--`: {words}" in done.err


@pytest.mark.parametrize("typed", [["missing.yaml"], ["missing.yml"], ["-o", "none", "rules.json"]])
def test_a_missing_rule_file_is_no_command(mockrec: Mockrec, typed: list[str]) -> None:
    done = mockrec("run", *typed)
    assert done.code == 2
    assert done.err == f"mockrec: cannot read the rule file {typed[-1]}: No such file or directory\n"


def test_other_commands_have_no_such_hint(mockrec: Mockrec, session: Path) -> None:
    done = mockrec("show", session, ID, "pytest")
    assert (done.code, done.err.splitlines()[-1]) == (2, "Error: unexpected argument pytest")
    assert command_hint(["a"], (), None) == command_hint(["a"], ("elsewhere",), None) == ""


# ── expressions ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", ["filter", "stats"])
def test_an_expression_without_quotes(mockrec: Mockrec, session: Path, command: str) -> None:
    done = mockrec(command, session, "status", "==", "404")
    assert done.code == 2
    assert done.err.endswith("an expression is one argument; put it in quotes: 'status == 404'\n")


def test_an_option_of_an_expression_without_quotes(mockrec: Mockrec, session: Path) -> None:
    done = mockrec("diff", session, session, "--only", "status", ">=", "500")
    assert done.code == 2
    assert "put it in quotes: 'status >= 500'" in done.err
    assert quotes_hint(["a", "==", "b"], ()) == quotes_hint(["a", "b"], ("b",)) == ""


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("/users/.*/", "did you mean /users/ at the start? that is: path startswith /users/"),
        ("/a/b/.*", "path startswith /a/b/"),
        ("/users/", "without them: users"),
        ("/u[0-9]/.*/", "without them: u[0-9]/.*"),
    ],
)
def test_slashes_around_a_pattern(pattern: str, hint: str) -> None:
    assert slashes_hint(pattern).endswith(hint)


def test_the_suggestion_for_slashes_matches(mockrec: Mockrec, session: Path) -> None:
    assert "path startswith /users/" in mockrec("filter", session, "path ~ /users/.*/", "--count").err
    assert mockrec("filter", session, "path startswith /hel", "--count").out == "1\n"


def test_a_field_that_does_not_exist(mockrec: Mockrec, session: Path) -> None:
    done = mockrec("filter", session, "--fields", "statsu")
    assert done.code == 2
    assert "found 'statsu' (did you mean status?); `mockrec filter --help` lists all" in done.err


# ── rule files ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ("{when: {path: /items/{id}}, then: close}", 2, 'needs quotes, such as pathTemplate: "/items/{id}"'),
        ('{when: {path: "/items/{id}"}, then: close}', 0, 'pathTemplate: "/items/{id}" matches any value'),
        ('{then: {reply: {body: "{{ request.path }}"}}}', 0, "`{{ … }}` is sent as it stands; say `template: true`"),
        ("{then: response}", 2, 'unknown step "response"; did you mean `reply`?'),
        ("{then: {response: {body: a}}}", 2, 'unknown step "response"; did you mean `reply`?'),
    ],
)
def test_rules(mockrec: Mockrec, folder: Path, rule: str, code: int, words: str) -> None:
    done = mockrec("check", rules(folder, rule))
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_session_as_the_rule_file(mockrec: Mockrec, session: Path) -> None:
    for command in ("check", "run"):
        done = mockrec(command, session)
        assert done.code == 2
        assert "this is a recorded session, not a rule file; `mockrec show FILE` reads it" in done.err


# ── recorded exchanges ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (None, "closed without a close frame"),
        ({"code": "ECONNRESET", "message": "gone"}, "closed without a close frame: ECONNRESET: gone"),
    ],
)
def test_a_websocket_over_http2(mockrec: Mockrec, recording: Any, folder: Path, error: Any, note: str) -> None:
    response = {"statusCode": 200, "statusMessage": "", "headers": {}, "rawHeaders": []}
    recording.start().add("abort", ID, method="CONNECT", url="wss://chat.test/a", response=response, error=error)
    line = mockrec("show", recording.end().write(folder / "w.jsonl")).lines[1]
    assert line.split()[:3] == ["200", "WS", "wss://chat.test/a"]
    assert line.endswith(note)
    assert "abort" not in line


# ── while recording ────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_does_not_trust_the_ca(capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveView()
    refusals = Refusals(live.warn)
    for _ in range(3):
        refusals.warn_of_tls("127.0.0.1", "cert-rejected", "api.test")
    words = "tls: a client at 127.0.0.1 does not trust the CA (server name api.test); see `mockrec ca install-hint`"
    assert capsys.readouterr().err == f"mockrec: warning: {words}\n"
    assert live.has_tls_failures
    live.print_repeated()
    assert capsys.readouterr().err == f"{words} (3×)\n"


def test_names_of_clients_are_limited() -> None:
    said: list[str] = []
    refusals = Refusals(said.append)
    for number in range(1000):
        refusals.warn_of_tls("10.0.0.1", "closed", f"{number}.test")
    assert len(set(said)) == 21
    assert said[-1] == "tls: more handshakes failed; the log has all of them (tls-client-error)"


@pytest.mark.parametrize("cause", ["no-shared-cipher", "handshake-timeout", "unknown"])
def test_other_failed_handshakes_do_not_blame_the_ca(cause: str) -> None:
    assert "CA" not in tls_words("10.0.0.1", cause, None)
    assert "install-hint" not in tls_words("10.0.0.1", cause, None)


@pytest.mark.parametrize(
    "command", [["node", "a.js"], ["npx", "vitest"], ["sh", "-c", "cd web && node --test"], ["./tool"]]
)
def test_node_that_ignores_the_proxy(folder: Path, command: list[str]) -> None:
    for name, text in (("node", "echo v20.11.1"), ("tool", "")):
        where = folder / "bin" / name if name == "node" else folder / name
        where.write_text(f"#!/usr/bin/env {'node' if name == 'tool' else 'sh'}\n{text}\n", encoding="utf-8")
        where.write_text(where.read_text().replace("/usr/bin/env sh", "/bin/sh"), encoding="utf-8")
        where.chmod(0o755)
    first, second = nothing_received.nothing_received(command)
    assert first.startswith("nothing came through the recorder")
    assert second.startswith("Node 20 ignores proxy variables")
    assert "setGlobalDispatcher(new EnvHttpProxyAgent())" in second


def test_other_commands_that_send_nothing() -> None:
    for command in ([sys.executable, "-c", "1"], ["missing"], ["node"]):
        _, second = nothing_received.nothing_received(command)
        assert second.startswith("clients that ignore it: Node before 24")
