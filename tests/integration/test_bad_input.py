"""Bad input of every kind: one clear message with its place, the right exit code, never a traceback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., Any]

GOOD = "version: 1\nrules:\n  - {when: {path: /a}, then: {reply: {body: A}}}\n"

RULE_FILES = {
    "unknown key": (
        "version: 1\nrules:\n  - when: {path: /a}\n    then: {reply: {statsuMessage: x}}\n",
        'rules.yaml:4:20: rules[0].then.reply: unknown key "statsuMessage"; did you mean "statusMessage"?',
    ),
    "wrong type": (
        "version: 1\nrules:\n  - when: {path: /a}\n    then: {reply: {status: abc}}\n",
        'rules.yaml:4:28: rules[0].then.reply.status: expected 100–599, got "abc"',
    ),
    "duplicate id": (
        "version: 1\nrules:\n  - {id: a, then: close}\n  - {id: a, then: close}\n",
        'rules.yaml:4:10: rules[1].id: the id "a" is already used by the rule in line 3',
    ),
    "tab": (
        "version: 1\nrules:\n\t- then: close\n",
        "rules.yaml:3:1: YAML forbids tabs for indentation; use spaces",
    ),
    "regex": (
        'version: 1\nrules:\n  - {when: {pathRegex: "["}, then: close}\n',
        "rules.yaml:3:24: rules[0].when.pathRegex: ",
    ),
    "template": (
        'version: 1\nrules:\n  - then: {reply: {template: true, body: "{{ oops"}}\n',
        "rules.yaml:3:42: rules[0].then.reply.body: not a template: ",
    ),
    "selector": (
        "version: 1\nrules:\n  - then: {replay: {session: rules.yaml, ignore: ts}}\n",
        "rules.yaml:3:50: rules[0].then.replay.ignore: expected a selector: header:NAME, cookie:NAME, ",
    ),
    "unknown event type": (
        "version: 1\nrecord: {events: [respones]}\nrules: []\n",
        'rules.yaml:2:19: record.events[0]: unknown event type "respones"; did you mean "response"?',
    ),
    "unknown value": (
        "version: 1\nrecord: {bodies: all}\nrules: []\n",
        'rules.yaml:2:18: record.bodies: expected decoded, raw or both, got "all"',
    ),
    "key given twice": (
        "version: 1\nrules:\n  - {when: {method: GET, method: PUT}, then: close}\n",
        'rules.yaml:3:26: rules[0].when: the key "method" is given twice, first in line 3',
    ),
    "environment": (
        "version: 1\nrules:\n  - then: {reply: {body: '${MOCKREC_TEST_NOT_SET}'}}\n",
        "the environment variable MOCKREC_TEST_NOT_SET is not set",
    ),
    "empty": ("", "rules.yaml:1:1: the file is empty"),
}


@pytest.fixture(params=["run", "check"])
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def arguments(command: str, rules: str | Path) -> list[str | Path]:
    return [command, rules, *(("--port", "0", "-o", "s.jsonl") if command == "run" else ())]


@pytest.mark.parametrize("name", RULE_FILES)
def test_rule_files(program: Program, tmp_path: Path, command: str, name: str) -> None:
    text, message = RULE_FILES[name]
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    done = program(*arguments(command, "rules.yaml"))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "s.jsonl").exists()


def test_all_problems_are_told_at_once(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "version: 1\nrules:\n  - {whne: {}, then: close}\n  - {then: {reply: {status: 700}}}\n  - {then: {delay: soon}}\n",
        encoding="utf-8",
    )
    done = program("run", "rules.yaml", "-o", "s.jsonl")
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == ["3", "4", "5"]


def test_files_that_cannot_be_read(program: Program, tmp_path: Path, command: str) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"version: 1\nrules: [{then: {reply: {body: caf\xe9}}}]\n")
    for rules, message in (
        ("missing.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        ("latin.yaml", "latin.yaml:2:34: not UTF-8: byte 0xe9"),
    ):
        done = program(*arguments(command, rules))
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "expected a port"),
        (["--events", "respones"], 'did you mean "response"?'),
        (["--max-body-size", "much"], "expected a size"),
        (["--grace", "soon"], "expected a duration"),
        (["--stop-after", "never"], "expected a number of exchanges such as 1000 or a duration"),
        (["--on-full", "panic"], "expected wait or drop"),
        (["--format", "xml"], "xml"),
        (["-o", "s3://bucket/s.jsonl"], "only Parquet can be written to object stores"),
        (["-o", "none", "-o", "x.jsonl"], "none cannot be given with other outputs"),
        (["-o", "x.jsonl", "-o", "x.jsonl"], "given twice"),
        (["--redact", "some"], "expected default or none, got 'some'"),
        (["--unmatched", "guess"], "expected reject or passthrough"),
        (["--ca-cert", "a.pem"], "give both, --ca-cert and --ca-key"),
        (["--ca-cert", "a.pem", "--ca-key", "a.key"], "a.pem"),
        (["--workers", "0"], "--workers"),
        (["--http2", "maybe"], "expected true or false or fallback"),
        (["--upstream", "http://127.0.0.1:1/path"], "expected a server such as http://localhost:3000"),
        (["--upstream", "ftp://127.0.0.1"], "expected a server such as http://localhost:3000"),
        (["--host", "0.0.0.0", "--unmatched", "passthrough"], "--open"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_options(program: Program, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    done = program("run", "rules.yaml", "--port", "0", *options)
    assert done.returncode == 2, done.stderr
    assert sum(message in line for line in done.stderr.splitlines()) == 1, "one line says it"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.jsonl"))


def test_no_rule_file(program: Program) -> None:
    done = program("run", "-o", "s.jsonl", "--watch")
    assert done.returncode == 2
    assert "no rule file to watch" in done.stderr


def test_a_port_in_use(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program("run", "rules.yaml", "--port", str(port), "-o", "s.jsonl")
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_outputs_that_cannot_be_written(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "there.jsonl").write_text("keep me", encoding="utf-8")
    done = program("run", "rules.yaml", "--port", "0", "-o", "new.jsonl", "-o", "there.jsonl")
    assert done.returncode == 2
    assert "there.jsonl" in done.stderr and "--force" in done.stderr
    assert (tmp_path / "there.jsonl").read_text() == "keep me"
    assert not (tmp_path / "new.jsonl").exists(), "what was made before the failure is removed"
    done = program("run", "rules.yaml", "--port", "0", "-o", "no/such/folder/s.jsonl")
    assert done.returncode == 3
    assert "no/such/folder/s.jsonl: No such file or directory" in done.stderr
    assert program("run", "rules.yaml", "--port", "0", "-o", "rules.yaml/s.jsonl").returncode == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "closed").mkdir(mode=0o555)
    done = program("run", "rules.yaml", "--port", "0", "-o", "closed/s.jsonl")
    assert done.returncode == 3
    assert "closed/s.jsonl: Permission denied" in done.stderr


def test_ready_files_that_cannot_be_written(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(GOOD, encoding="utf-8")
    for ready in ("no/such/ready.json", tmp_path):
        done = program("run", "rules.yaml", "--port", "0", "-o", "s.jsonl", "--ready-file", ready)
        assert done.returncode == 2
        assert str(ready) in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_like_this\n", "handlers.py:1: ModuleNotFoundError"),
        ("def answer(request:\n", "handlers.py:1: SyntaxError"),
        ("x = 1\nraise SystemExit(3)\n", "handlers.py:2: SystemExit"),
        ("def answr(request): ...\n", "handlers.py: there is no function answer; there are answr"),
        ("answer = 3\n", "handlers.py: answer is not a function but int"),
    ],
)
def test_handlers(program: Program, tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "rules.yaml").write_text(
        "version: 1\nrules: [{then: {python: handlers.py:answer}}]\n", encoding="utf-8"
    )
    (tmp_path / "handlers.py").write_text(source, encoding="utf-8")
    done = program("run", "rules.yaml", "--port", "0", "-o", "s.jsonl")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_with_a_command_our_own_failures_have_their_own_code(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 2\n", encoding="utf-8")
    done = program("run", "rules.yaml", "-o", "s.jsonl", "--", "true")
    assert done.returncode == 125
    assert "rules.yaml:1:10" in done.stderr
