"""A run from ready to its end: signals, grace, COMMAND, limits, reloading, outputs. Asserts on the log as well."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from waiting import until_logged, until_said, until_there

Start = Callable[..., Any]
Program = Callable[..., Any]

RULES = """
version: 1
rules:
  - {id: hi, when: {path: /hi}, then: {reply: {body: hi}}}
  - {id: slow, when: {path: /slow}, then: [{delay: 600ms}, {reply: {body: late}}]}
  - {id: never, when: {path: /never}, then: timeout}
"""


def get(port: int, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


both_loops = pytest.mark.parametrize("env", [{}, {"MOCKREC_LOOP": "asyncio"}], ids=["default loop", "asyncio"])


class Background(threading.Thread):
    """One request whose answer is awaited elsewhere."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self._port, self._path = port, path
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = get(self._port, self._path)
        except (OSError, http.client.HTTPException) as error:
            self.result = type(error).__name__


def accepts(port: int) -> bool:
    """Whether new connections are still taken."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# ── ready and end ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ready_and_stopped(recorder: Start, number: int) -> None:
    run = recorder(RULES)
    assert run.stderr == f"mockrec ready on {run.url} · 3 rules · recording to {run.log} · secrets redacted\n"
    assert run.url == f"http://127.0.0.1:{run.port}"
    assert run.pid == run.process.pid
    assert get(run.port, "/hi") == (200, b"hi")
    session = run.stop(number)
    assert session.code == 0
    started, ended = session.records[0], session.records[-1]
    assert started["listen"] == {"url": run.url, "host": "127.0.0.1", "port": run.port}
    assert [rule["id"] for rule in started["rules"]] == ["hi", "slow", "never"]
    assert (ended["type"], ended["reason"], ended["exitCode"]) == ("session-ended", signal.Signals(number).name, 0)
    assert ended["counts"] == {
        "session-started": 1,
        "request-initiated": 1,
        "request": 1,
        "response": 1,
        "session-ended": 1,
    }
    assert ended["rules"][0] == {"id": "hi", "used": 1, "pending": False}
    assert ended["rules"][1]["pending"] is True


def test_the_ready_file_says_it_all(recorder: Start, tmp_path: Path) -> None:
    run = recorder(RULES)
    content = json.loads((tmp_path / "ready-0.json").read_text(encoding="utf-8"))
    assert content == {
        "url": run.url,
        "port": run.port,
        "pid": run.process.pid,
        "ca": content["ca"],
        "outputs": content["outputs"],
    }
    assert Path(content["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert [path.name for path in tmp_path.iterdir() if "ready" in path.name] == ["ready-0.json"], "nothing partial"
    run.stop()


def test_log_files_are_private_unless_told_otherwise(recorder: Start) -> None:
    run = recorder(RULES)
    assert run.log.stat().st_mode & 0o777 == 0o600
    run.stop()
    run = recorder(RULES, "--file-mode", "0640", out="shared.jsonl")
    assert run.log.stat().st_mode & 0o777 == 0o640
    run.stop()


def test_a_stale_ready_file_is_removed_before_anything_else(program: Program, tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{}", encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("version: 2\n", encoding="utf-8")
    assert program("run", "rules.yaml", "--ready-file", "ready.json").returncode == 2
    assert not (tmp_path / "ready.json").exists()


@both_loops
def test_running_exchanges_get_their_grace(recorder: Start, env: dict[str, str]) -> None:
    run = recorder(RULES, env=env)
    slow = Background(run.port, "/slow")
    until_logged(run.log, '"type":"request"')
    session = run.stop()
    slow.join()
    assert slow.result == (200, b"late")
    assert session.one("response")["matchedRuleId"] == "slow"


@both_loops
def test_what_outlasts_the_grace_is_aborted_and_recorded(recorder: Start, env: dict[str, str]) -> None:
    run = recorder(RULES, "--grace", "100ms", env=env)
    never = Background(run.port, "/never")
    until_logged(run.log, '"type":"request"')
    session = run.stop()
    never.join()
    assert never.result == "RemoteDisconnected"
    assert session.code == 0
    assert session.one("abort")["matchedRuleId"] == "never"
    assert session.records[-1]["type"] == "session-ended"


@both_loops
def test_a_second_signal_ends_the_grace(recorder: Start, env: dict[str, str]) -> None:
    run = recorder(RULES, "--grace", "1h", env=env)
    never = Background(run.port, "/never")
    until_logged(run.log, '"type":"request"')
    run.process.send_signal(signal.SIGTERM)
    while accepts(run.port):
        pass
    session = run.stop(signal.SIGTERM)
    never.join()
    assert session.code == 0
    assert session.one("abort")["url"].endswith("/never")
    assert session.records[-1]["reason"] == "SIGTERM"


def test_an_idle_connection_does_not_hold_the_end_up(recorder: Start) -> None:
    run = recorder(RULES, "--grace", "1h")
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)
    client.request("GET", "/hi")
    client.getresponse().read()
    with socket.create_connection(("127.0.0.1", run.port)):
        assert run.stop().code == 0
    client.close()


def test_a_port_range_and_two_at_once(recorder: Start) -> None:
    """Two that start together share no port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        first = probe.getsockname()[1]
    span = f"{first}-{first + 9}" if first < 65500 else f"{first - 9}-{first}"
    runs = [recorder(RULES, "--port", span, out=f"{number}.jsonl") for number in range(3)]
    assert len({run.port for run in runs}) == 3
    for run in runs:
        assert get(run.port, "/hi") == (200, b"hi")
        assert run.stop().code == 0


def test_a_port_range_that_is_taken(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program("run", "rules.yaml", "-o", "s.jsonl", "--port", f"{port}-{port}")
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_on_the_standard_librarys_loop(recorder: Start) -> None:
    run = recorder(RULES, env={"MOCKREC_LOOP": "asyncio"})
    slow = Background(run.port, "/slow")
    assert get(run.port, "/hi") == (200, b"hi")
    slow.join()
    session = run.stop()
    assert slow.result == (200, b"late")
    assert len(session.by_type("response")) == 2


# ── COMMAND ──────────────────────────────────────────────────────────────────────────────────────────


def with_command(program: Program, tmp_path: Path, *command: str, options: tuple[str, ...] = ()) -> Any:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return program("run", "rules.yaml", "-o", "s.jsonl", *options, "--", *command)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["no-such-program-of-ours"], 127),
        (["./rules.yaml"], 126),
    ],
)
def test_the_exit_code_is_that_of_command(program: Program, tmp_path: Path, command: list[str], code: int) -> None:
    done = with_command(program, tmp_path, *command)
    assert done.returncode == code, done.stderr
    last = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[-1])
    assert (last["type"], last["reason"], last["exitCode"]) == ("session-ended", "command ended", code)


def test_command_on_the_standard_librarys_loop(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    for command, code in (("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)):
        env = {**os.environ, "MOCKREC_LOOP": "asyncio"}
        done = program("run", "rules.yaml", "--force", "-o", "s.jsonl", "--", "sh", "-c", command, env=env)
        assert done.returncode == code, done.stderr
        assert program("verify", "s.jsonl").returncode == 0


def test_command_reaches_the_mock_under_any_name(program: Program, tmp_path: Path) -> None:
    """The variables make the recorder its proxy: it need not know that there is one."""
    call = "import httpx, os; print(httpx.get('http://shop.test/hi').text, httpx.get(os.environ['MOCKREC_URL'] + '/hi').text)"
    done = with_command(program, tmp_path, sys.executable, "-c", call)
    assert (done.returncode, done.stdout) == (0, "hi hi\n"), done.stderr
    records = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    url = records[0]["listen"]["url"]
    assert [record["url"] for record in records if record["type"] == "request"] == ["http://shop.test/hi", f"{url}/hi"]
    assert program("verify", "s.jsonl").returncode == 0


def test_what_command_finds_in_its_environment(program: Program, tmp_path: Path) -> None:
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    outer = {**os.environ, "NO_PROXY": "localhost,corp.example,127.0.0.1", "no_proxy": "::1"}
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    done = program("run", "rules.yaml", "-o", "s.jsonl", "--", sys.executable, "-c", show, env=outer)
    env = json.loads(done.stdout)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", env["MOCKREC_URL"])
    assert env["MOCKREC_PORT"] == env["MOCKREC_URL"].rpartition(":")[2]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert env[name] == env[name.lower()] == env["MOCKREC_URL"]
    assert (env["NO_PROXY"], env["no_proxy"]) == ("corp.example", "")
    assert env["NODE_USE_ENV_PROXY"] == "1"
    assert f"-Dhttp.proxyPort={env['MOCKREC_PORT']}" in env["JAVA_TOOL_OPTIONS"]
    started = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[0])
    assert started["command"][0] == sys.executable


def test_a_test_suite_that_uses_the_mocked_address(program: Program, tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        """
import os
import httpx
import pytest

BASE = os.environ["MOCKREC_URL"]

@pytest.fixture
def client():
    with httpx.Client(base_url=BASE) as client:
        yield client

def test_hi(client):
    assert client.get("/hi").text == "hi"

def test_slow(client):
    assert client.get("/slow").text == "late"

def test_missing(client):
    assert client.get("/missing").status_code == 200   # fails: no rule
""",
        encoding="utf-8",
    )
    done = with_command(
        program,
        tmp_path,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
        "-c",
        os.devnull,
        "test_shop.py",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert program("verify", "s.jsonl").returncode == 0
    records = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [record["statusCode"] for record in records if record["type"] == "response"] == [200, 200, 503]


def test_with_the_log_on_stdout_command_speaks_on_stderr(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    done = program("run", "rules.yaml", "-q", "-o", "-", "--", "echo", "hello")
    assert done.stderr == "hello\n"
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["session-started", "session-ended"]


def test_a_signal_to_us_alone_is_passed_on(recorder: Start, tmp_path: Path) -> None:
    script = f"trap 'exit 5' TERM; touch {shlex.quote(str(tmp_path / 'up'))}; while :; do sleep 0.05; done"
    run = recorder(RULES, "--", "bash", "-c", script)
    until_there(tmp_path / "up")
    assert run.stop(signal.SIGTERM).code == 5


def test_a_hangup_reaches_command(recorder: Start, tmp_path: Path) -> None:
    """With COMMAND, SIGHUP is no wish to read the rules again."""
    script = f"trap 'exit 6' HUP; touch {shlex.quote(str(tmp_path / 'up'))}; while :; do sleep 0.05; done"
    run = recorder(RULES, "--", "bash", "-c", script)
    until_there(tmp_path / "up")
    session = run.stop(signal.SIGHUP)
    assert session.code == 6
    assert session.by_type("rules-reloaded") == []
    assert (session.records[-1]["reason"], session.records[-1]["exitCode"]) == ("command ended", 6)


ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
COUNTS_CTRL_C = """
import signal, sys, time
def count(*_):
    with open("counted", "a") as file: file.write("x")
signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
open("up", "w").close()
while True: time.sleep(1)
"""


def test_ctrl_c_on_a_terminal_reaches_command_once(tmp_path: Path) -> None:
    """The terminal sends it to both: passed on, COMMAND would see two, and the second one means it."""
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    ours, terminal = os.openpty()
    run = [sys.executable, "-m", "mockrec.cli", "run", "rules.yaml", "-q", "-o", "s.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *run, "--", sys.executable, "-c", COUNTS_CTRL_C],
        cwd=tmp_path, stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_there(tmp_path / "up")
        os.write(ours, b"\x03")
        until_there(tmp_path / "counted")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 9
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
        os.close(terminal)
    assert (tmp_path / "counted").read_text() == "x"
    assert (tmp_path / "s.jsonl").read_text().splitlines()[-1].count("session-ended")


def test_a_command_that_does_not_listen_is_ended_in_the_end(recorder: Start, tmp_path: Path) -> None:
    script = f"trap '' TERM INT; touch {shlex.quote(str(tmp_path / 'up'))}; exec sleep 1000"
    run = recorder(RULES, "--", "bash", "-c", script)
    until_there(tmp_path / "up")
    for _ in range(3):
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # signals of one kind that come together are one
    assert run.wait().code == 128 + signal.SIGKILL


# ── limits and strictness ────────────────────────────────────────────────────────────────────────────


@both_loops
def test_stop_after_exchanges(recorder: Start, env: dict[str, str]) -> None:
    run = recorder(RULES, "--stop-after", "2", env=env)
    with socket.create_connection(("127.0.0.1", run.port)) as client:
        client.sendall(b"GET /hi HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200") == 2
    session = run.wait()
    assert (session.code, session.records[-1]["reason"]) == (0, "stop-after")
    assert len(session.by_type("response")) == 2


def test_stop_after_time(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    assert program("run", "rules.yaml", "--port", "0", "-o", "s.jsonl", "--stop-after", "50ms").returncode == 0
    last = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[-1])
    assert (last["type"], last["reason"], last["exitCode"]) == ("session-ended", "stop-after", 0)


def test_strict(program: Program, tmp_path: Path) -> None:
    one = "version: 1\nrules: [{id: hi, when: {path: /hi}, then: {reply: {body: hi}}}]\n"
    (tmp_path / "rules.yaml").write_text(one, encoding="utf-8")
    call = "import os, sys, urllib.request as u, urllib.error as e\nfor p in sys.argv[1:]:\n  try: u.urlopen(os.environ['MOCKREC_URL'] + p)\n  except e.HTTPError: pass"
    for paths, code, said in (
        (["/hi"], 0, ""),
        ([], 1, "rule hi was never used"),
        (["/hi", "/x"], 1, "1 request matched no rule"),
    ):
        done = program(
            "run", "rules.yaml", "--force", "-o", "s.jsonl", "--strict", "--", sys.executable, "-c", call, *paths
        )
        assert done.returncode == code
        assert said in done.stderr
        assert ("nothing came through the recorder" in done.stderr) is (not paths)
        last = json.loads((tmp_path / "s.jsonl").read_text().splitlines()[-1])
        assert (last["reason"], last["exitCode"]) == ("command ended", code)


# ── reloading ────────────────────────────────────────────────────────────────────────────────────────


def test_sighup_reads_the_rules_again(recorder: Start, tmp_path: Path) -> None:
    run = recorder("version: 1\nrules: [{then: {reply: {body: one}}}]\n")
    assert get(run.port, "/") == (200, b"one")
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules: [{then: {reply: {body: two}}}, {id: more, then: close}]\n", encoding="utf-8")
    run.process.send_signal(signal.SIGHUP)
    until_logged(run.log, '"type":"rules-reloaded"')
    assert get(run.port, "/") == (200, b"two")
    rules.write_text("version: 1\nrules: [{then: {reply: {bdy: three}}}]\n", encoding="utf-8")
    run.process.send_signal(signal.SIGHUP)
    until_said(run, "the rules stay as they were")
    assert 'rules.yaml:2:25: rules[0].then.reply: unknown key "bdy"' in run.stderr
    assert get(run.port, "/") == (200, b"two")
    session = run.stop()
    assert [rule["id"] for rule in session.one("rules-reloaded")["rules"]] == ["rule-1", "more"]


def test_watch(recorder: Start, tmp_path: Path) -> None:
    run = recorder("version: 1\nrules: [{then: {reply: {body: one}}}]\n", "--watch")
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: [{then: {reply: {body: longer}}}]\n", encoding="utf-8")
    until_logged(run.log, '"type":"rules-reloaded"')
    assert get(run.port, "/") == (200, b"longer")
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: [{then: {reply: {bdy: broken}}}]\n", encoding="utf-8")
    until_said(run, "the rules stay as they were")
    assert get(run.port, "/") == (200, b"longer")
    session = run.stop()
    assert len(session.by_type("rules-reloaded")) == 1


# ── what is recorded ─────────────────────────────────────────────────────────────────────────────────


def test_events_all_and_a_list(recorder: Start) -> None:
    """The option is stronger than the rule file."""
    only = RULES + "record: {events: [abort]}\n"
    whole = {"request-initiated", "request", "response"}
    pieces = {"request-body-data", "response-initiated", "response-body-data"}
    for events, kinds in (("all", whole | pieces), ("response,request", {"request", "response"}), ("default", whole)):
        run = recorder(only, "--events", events, out=f"{events}.jsonl")
        assert get(run.port, "/hi") == (200, b"hi")
        client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)
        client.request("POST", "/hi", b"body")
        client.getresponse().read()
        client.close()
        session = run.stop()
        assert {record["type"] for record in session.records} == kinds | {"session-started", "session-ended"}
        assert len(session.by_type("response")) == 2


# ── outputs ──────────────────────────────────────────────────────────────────────────────────────────


def test_several_outputs_hold_the_same(recorder: Start, program: Program, tmp_path: Path) -> None:
    run = recorder(RULES, "-o", tmp_path / "b.jsonl.gz", "-o", tmp_path / "c.jsonl.zst")
    for _ in range(20):
        get(run.port, "/hi")
    session = run.stop()
    plain = (tmp_path / "session.jsonl").read_bytes()
    assert len(session.by_type("response")) == 20
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == plain
    unpacked = (
        zstandard.ZstdDecompressor()
        .stream_reader((tmp_path / "c.jsonl.zst").read_bytes(), read_across_frames=True)
        .read()
    )
    assert unpacked == plain
    for name in ("session.jsonl", "b.jsonl.gz", "c.jsonl.zst"):
        assert program("verify", name).returncode == 0


def test_not_recording(recorder: Start, tmp_path: Path) -> None:
    run = recorder(RULES, "-o", "none", out=None)
    assert "not recording" in run.stderr
    assert get(run.port, "/hi") == (200, b"hi")
    assert run.stop().code == 0
    assert not list(tmp_path.glob("*.jsonl"))


def test_the_default_name(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    assert program("run", "rules.yaml", "--", "true").returncode == 0
    (name,) = tmp_path.glob("session-*.jsonl")
    assert re.fullmatch(r"session-\d{8}-\d{6}\.jsonl", name.name)


def test_an_existing_file_needs_force(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "s.jsonl").write_text("old\n", encoding="utf-8")
    assert program("run", "rules.yaml", "-o", "s.jsonl", "--", "true").returncode == 125
    assert (tmp_path / "s.jsonl").read_text() == "old\n"
    assert program("run", "rules.yaml", "--force", "-o", "s.jsonl", "-o", "no/x.jsonl", "--", "true").returncode == 125
    assert (tmp_path / "s.jsonl").read_text() == "old\n", "nothing is emptied when another output cannot be opened"
    assert program("run", "rules.yaml", "--force", "-o", "s.jsonl", "--", "true").returncode == 0
    assert program("verify", "s.jsonl").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_loud(recorder: Start, program: Program, tmp_path: Path) -> None:
    run = recorder(RULES, "--force", "-o", "/dev/full", out="s.jsonl")
    session = run.wait()
    assert session.code == 3
    assert "cannot write /dev/full: No space left on device" in session.stderr
    assert session.records[-1]["reason"] == "recording failed", "the output that can be written is closed properly"
    done = program(
        "run",
        "rules.yaml",
        "--force",
        "-o",
        "/dev/full",
        "--",
        "sh",
        "-c",
        "echo $$ > pid; exec sleep 1000",
    )
    assert done.returncode == 125
    with pytest.raises(ProcessLookupError):  # it may have been ended before it could say its number
        os.kill(int((tmp_path / "pid").read_text()) if (tmp_path / "pid").exists() else 0x7FFFFFFF, 0)
    assert program("run", "rules.yaml", "--force", "-o", "/dev/full", "--", "true").returncode == 125


def test_the_reader_of_stdout_goes_away(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    command = f"{sys.executable} -m mockrec.cli run rules.yaml -q --port 0 -o - --ready-file r.json | head -n 1; exit ${{PIPESTATUS[0]}}"
    shell = subprocess.Popen(["bash", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shell.stdout is not None
    assert json.loads(shell.stdout.readline())["type"] == "session-started"
    ready = json.loads((tmp_path / "r.json").read_text())
    # The pipe is found to be closed when something is written to it.
    while shell.poll() is None:
        try:
            get(ready["port"], "/hi")
        except (OSError, http.client.HTTPException):
            break
    _, errors = shell.communicate(timeout=20)
    assert shell.returncode == 141
    assert b"Traceback" not in errors


class SlowPipe:
    """A named pipe that is read only when the test says so."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Opened for both directions, so that opening does not wait for the other side.
        self._fd = os.open(path, os.O_RDWR)
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def read(self) -> None:
        self._thread.start()

    def _read(self) -> None:
        while b'"type":"session-ended"' not in self.data[-3000:]:
            self.data += os.read(self._fd, 1 << 20)

    def records(self) -> list[dict[str, Any]]:
        self._thread.join(20)
        os.close(self._fd)
        return [json.loads(line) for line in bytes(self.data).splitlines()]


BIG = """
version: 1
rules: [{{then: {{reply: {{body: "{body}"}}}}}}]
""".format(body="x" * 200_000)


def test_a_slow_disk_slows_the_traffic_down(recorder: Start, tmp_path: Path) -> None:
    pipe = SlowPipe(tmp_path / "pipe")
    run = recorder(BIG, "-o", tmp_path / "pipe", out=None)
    answered = []

    def ask() -> None:
        client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
        for number in range(120):
            client.request("GET", f"/{number}")
            answered.append(len(client.getresponse().read()))
        client.close()

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(1.5)
    assert asking.is_alive(), "24 MB do not fit into what may wait for the disk"
    pipe.read()
    asking.join(30)
    run.stop(check=False)
    records = pipe.records()
    assert len(answered) == 120
    assert sum(record["type"] == "response" for record in records) == 120
    assert [record["seq"] for record in records] == list(range(len(records)))


def test_or_records_are_left_out_and_counted(recorder: Start, tmp_path: Path) -> None:
    pipe = SlowPipe(tmp_path / "pipe")
    run = recorder(BIG, "--on-full", "drop", "-o", tmp_path / "pipe", out=None)
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
    for number in range(150):
        client.request("GET", f"/{number}")
        client.getresponse().read()
    client.close()
    pipe.read()
    run.stop(check=False)
    records = pipe.records()
    assert [record["seq"] for record in records] == list(range(len(records)))
    dropped = sum(record["counts"]["response"] for record in records if record["type"] == "gap")
    assert dropped > 0
    assert dropped + sum(record["type"] == "response" for record in records) == 150
    assert records[-1]["type"] == "session-ended"


# ── the program itself ───────────────────────────────────────────────────────────────────────────────


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    look = (
        "import sys\nfrom mockrec.cli.__main__ import main\n"
        "for argv in (['--help'], ['run', '--help']):\n  main(argv)\n"
        "heavy = [name for name in ('anyio', 'asyncio', 'h11', 'OpenSSL', 'pyarrow', 'orjson', 'msgspec', 'mockrec.engine', 'yaml', 'jinja2') if name in sys.modules]\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_console_script(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "mockrec"
    done = subprocess.run([script, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert re.fullmatch(r"mockrec \d+\.\d+\.\d+\S*\n", done.stdout)
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    command: list[str | Path] = [script, "run", "rules.yaml", "-q", "-o", "s.jsonl", "--", "sh", "-c", "exit 7"]
    assert subprocess.run(command, cwd=tmp_path, check=False, timeout=60).returncode == 7
    verify: list[str | Path] = [script, "verify", "s.jsonl"]
    assert subprocess.run(verify, cwd=tmp_path, check=False, timeout=60, capture_output=True).returncode == 0


def test_started_without_standard_streams(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    command = f"{sys.executable} -m mockrec.cli run rules.yaml -o s.jsonl -- true <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False, timeout=60).returncode == 0
    assert (tmp_path / "s.jsonl").read_text().splitlines()[-1].count("session-ended")
