"""`run --workers N`: one port and one session, whatever happens to the processes behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from waiting import to_the_end, until, until_logged, until_said

Start = Callable[..., Any]
Program = Callable[..., Any]

RULES = """
rules:
  - {id: hi, when: {path: /hi}, then: {reply: {body: hi}}}
  - {id: secret, when: {path: /secret}, then: {reply: {json: {password: "correct horse"}}}}
  - {id: large, when: {path: /large}, then: {reply: {file: large.bin}}}
  - {id: never, when: {path: /never}, then: timeout}
  - {id: who, when: {path: /who}, then: {python: "who.py:answer"}}
"""
WHO = """
import os

def answer(request):
    return {"status": 200, "body": str(os.getpid())}
"""


@pytest.fixture
def crew(recorder: Start, tmp_path: Path) -> Callable[..., Any]:
    """`mockrec run` with two workers."""
    (tmp_path / "who.py").write_text(WHO)
    (tmp_path / "large.bin").write_bytes(bytes(300_000))
    return lambda *options, **more: recorder(RULES, "--workers", "2", *options, **more)


def get(port: int, path: str = "/hi") -> bytes:
    """One request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request("GET", path)
        return client.getresponse().read()
    finally:
        client.close()


def pid_of(port: int) -> int:
    """The worker that answers a new connection."""
    return int(get(port, "/who"))


def workers_of(port: int) -> set[int]:
    """Both: the kernel spreads connections over them."""
    found: set[int] = set()

    def both() -> bool:
        found.add(pid_of(port))
        return len(found) == 2

    until(both, lambda: f"only {found} answer")
    return found


@pytest.mark.parametrize("out", ["s.jsonl", "s.jsonl.zst", "s.har", "s.parquet"])
def test_one_session_of_all_workers(crew: Start, out: str) -> None:
    run = crew(out=out)
    assert len(workers_of(run.port)) == 2
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(get, [run.port] * 200)) == {b"hi"}
    session = run.stop()  # audits: numbers without a hole, one first record and one last
    assert session.code == 0
    used = {rule["id"]: rule["used"] for rule in session.one("session-ended")["rules"]}
    assert used["hi"] == 200
    assert len([one for one in session.by_type("response") if one["matchedRuleId"] == "hi"]) == 200


def test_secrets_have_one_mark_and_bodies_one_file(crew: Start) -> None:
    run = crew()
    assert len(workers_of(run.port)) == 2
    for _ in range(20):
        get(run.port, "/secret")
        get(run.port, "/large")
    session = run.stop()
    responses = session.by_type("response")
    assert len({one["body"]["text"] for one in responses if one["matchedRuleId"] == "secret"}) == 1
    assert b"correct horse" not in session.path.read_bytes()
    assert {one["body"]["file"] for one in responses if one["matchedRuleId"] == "large"}.__len__() == 1
    assert session.one("session-ended")["redactions"] >= 20


def test_a_worker_that_dies_is_replaced_and_what_it_had_open_is_ended(crew: Start) -> None:
    run = crew()
    both = workers_of(run.port)
    with socket.create_connection(("127.0.0.1", run.port)) as client:
        client.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.recv(65536)
        while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
            answer += client.recv(65536)
        mine = int(answer.rpartition(b"\r\n\r\n")[2])
        client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        until_logged(run.log, '"path":"/never"')
        os.kill(mine, signal.SIGKILL)
        until_said(run, "was killed by SIGKILL; 1 exchange ended with it")
        assert client.recv(100) == b""
    now = workers_of(run.port)
    assert mine in both
    assert mine not in now
    assert len(now & both) == 1
    session = run.stop()
    assert session.code == 70
    abort = session.one("abort")
    assert abort["error"]["code"] == "E_WORKER_LOST"
    assert abort["path"] == "/never"
    assert abort["duration"] > 0


def test_workers_end_with_their_parent(crew: Start) -> None:
    run = crew()
    both = workers_of(run.port)
    os.kill(run.pid, signal.SIGKILL)
    run.wait(check=False)
    until(lambda: not any(map(_lives, both)), "workers outlive their parent")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_all(crew: Start, number: int) -> None:
    run = crew("--grace", "200ms")
    with socket.create_connection(("127.0.0.1", run.port)) as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        until_logged(run.log, '"path":"/never"')
        session = run.stop(number)
        assert client.recv(100) == b""
    assert session.code == 0
    assert session.one("abort")["path"] == "/never"
    assert session.one("session-ended")["reason"] == signal.Signals(number).name


def test_reload_reaches_every_worker(crew: Start, tmp_path: Path) -> None:
    run = crew()
    both = workers_of(run.port)
    (tmp_path / "rules.yaml").write_text(RULES.replace("{body: hi}", "{body: ho}"))
    os.kill(run.pid, signal.SIGHUP)
    until_said(run, "rules reloaded: 5 rules")
    until(lambda: {get(run.port) for _ in range(20)} == {b"ho"}, "not every worker has the new rules")
    os.kill(both.pop(), signal.SIGKILL)  # one that starts now has the new rules too
    until_said(run, "was killed")
    assert {get(run.port) for _ in range(20)} == {b"ho"}
    session = run.stop()
    assert len(session.by_type("rules-reloaded")) == 1


def test_rules_that_begin_to_remember_are_not_taken(crew: Start, tmp_path: Path) -> None:
    run = crew()
    (tmp_path / "rules.yaml").write_text("rules:\n  - {when: {path: /hi}, then: {reply: {body: ho}}, times: 2}\n")
    os.kill(run.pid, signal.SIGHUP)
    until_said(run, "the rules stay as they were")
    assert "times: 2" in run.stderr
    assert get(run.port) == b"hi"
    assert run.stop().code == 0


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("- {when: {path: /a}, then: {reply: {}}, times: 1}", "`times: 1` would hold for each worker"),
        (
            "- {when: {path: /a}, then: {reply: {body: b}}}\n- {when: {path: /a}, then: {reply: {body: c}}}",
            "it and rule rule-2 (line 3) answer in turn",
        ),
        ('- {when: {path: /a}, then: {reply: {body: "{{ count }}", template: true}}}', "`reply` uses `count`"),
        ('- {when: {path: /a}, then: [{emit: {type: t, data: {n: "{{ count }}"}}}, close]}', "`emit` uses `count`"),
    ],
)
def test_rules_with_a_memory_are_refused(program: Program, tmp_path: Path, rules: str, words: str) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n" + "\n".join(f"  {line}" for line in rules.split("\n")) + "\n")
    done = program("run", "rules.yaml", "--workers", "2", "--port", "0", "-o", "s.jsonl")
    assert done.returncode == 2
    assert f"rules.yaml:2: rule rule-1: {words}" in done.stderr
    assert "use one worker" in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_command(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n  - {when: {path: /hi}, then: {reply: {body: hi}}}\n")
    done = program(
        "run", "rules.yaml", "--workers", "2", "-o", "s.jsonl", "--",
        "sh", "-c", 'curl -s "$MOCKREC_URL/hi" && exit 7',
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "hi")
    assert program("verify", "s.jsonl").returncode == 0


def test_stop_after(crew: Start) -> None:
    run = crew("--stop-after", "5")
    for _ in range(5):
        get(run.port)
    session = run.wait()
    assert session.code == 0
    assert len(session.by_type("response")) == 5


def test_a_port_that_is_taken(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # even of one that would share
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = program("run", "rules.yaml", "--workers", "2", "--port", port, "-o", "s.jsonl")
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr


def test_callbacks_see_every_record_in_order(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(
        "def note(event):\n    with open('seen.txt', 'a') as file:\n        print(event.seq, event.status_code, file=file)\n"
    )
    rules = RULES.replace("\nrules:", "\nrecord: {callbacks: {response: 'seen.py:note'}}\nrules:")
    (tmp_path / "who.py").write_text(WHO)
    (tmp_path / "large.bin").write_bytes(b"")
    run = recorder(rules, "--workers", "2")
    for _ in range(30):
        get(run.port)
    session = run.stop()
    seen = [line.split() for line in (tmp_path / "seen.txt").read_text().splitlines()]
    assert [int(seq) for seq, _ in seen] == [record["seq"] for record in session.by_type("response")]
    assert len(seen) == 30


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_handlers_print_does_not_come_between_records(program: Program, tmp_path: Path, workers: str) -> None:
    (tmp_path / "who.py").write_text('def answer(request):\n    print("PRINTED")\n    return {"body": "x"}\n')
    (tmp_path / "rules.yaml").write_text('rules:\n  - {when: {path: /a}, then: {python: "who.py:answer"}}\n')
    done = program(
        "run", "rules.yaml", "--workers", workers, "-o", "-", "--", "sh", "-c", 'curl -s "$MOCKREC_URL/a"'
    )  # fmt: skip
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [0, 1, 2, 3, 4]
    assert "PRINTED" in done.stderr


def test_what_a_handler_starts_does_not_keep_a_worker_from_being_replaced(crew: Start, tmp_path: Path) -> None:
    (tmp_path / "who.py").write_text(
        "import os\n\ndef answer(request):\n    os.system('sleep 30 >/dev/null 2>&1 </dev/null & echo $! >> children')\n"
        "    return {'status': 200, 'body': str(os.getpid())}\n"
    )
    run = crew()
    try:
        killed = pid_of(run.port)
        os.kill(killed, signal.SIGKILL)
        until_said(run, "was killed by SIGKILL")
        assert pid_of(run.port) != killed
        assert run.stop().code == 70
    finally:
        for child in (tmp_path / "children").read_text().split():
            os.kill(int(child), signal.SIGKILL)


WHO_RULES = "rules: [{when: {path: /who}, then: {python: 'who.py:answer'}}]"
FORKS = """
import os, time, pathlib

def answer(request):
    pid = os.fork()
    if pid == 0:
        time.sleep(1000)
        os._exit(0)
    with open("children", "a") as file: file.write(f"{pid}\\n")
    return {'status': 200, 'body': str(os.getpid())}
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_that_a_handler_forks_holds_nothing_of_ours(recorder: Start, tmp_path: Path, workers: str) -> None:
    (tmp_path / "who.py").write_text(FORKS)
    run = recorder(WHO_RULES, "--workers", workers)
    try:
        assert pid_of(run.port)
        with socket.create_connection(("127.0.0.1", run.port), timeout=20) as client:
            client.sendall(b"GET /who HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert to_the_end(client).startswith(b"HTTP/1.1 200")  # it ends though the other process lives
        assert run.stop().code == 0
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", run.port))
            again.listen()
    finally:
        for child in (tmp_path / "children").read_text().split():
            os.kill(int(child), signal.SIGKILL)


def test_a_worker_that_is_killed_with_a_fork_alive_is_replaced(recorder: Start, tmp_path: Path) -> None:
    """The fork is made where Python does not hear of it, so it holds the sockets to the parent."""
    (tmp_path / "who.py").write_text(
        FORKS.replace("import os, time, pathlib", "import ctypes, os, time\nlibc = ctypes.CDLL(None)").replace(
            "os.fork()", "libc.fork()"
        )
    )
    run = recorder(WHO_RULES, "--workers", "2")
    try:
        killed = pid_of(run.port)
        os.kill(killed, signal.SIGKILL)
        until_said(run, "was killed by SIGKILL")
        assert run.stop().code == 70
    finally:
        for child in (tmp_path / "children").read_text().split():
            os.kill(int(child), signal.SIGKILL)


def test_an_upload_under_way_leaves_no_file_behind(crew: Start, tmp_path: Path) -> None:
    run = crew()
    mine = pid_of(run.port)
    with contextlib.ExitStack() as stack:
        folder = tmp_path / "session.jsonl.bodies"

        def begun() -> bool:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", run.port), timeout=20))
            client.sendall(b"POST /never HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + bytes(1_000_000))
            return folder.is_dir() and any(folder.glob(f".new-{mine}-*"))

        until(begun, "no upload is on its way to disk")
        os.kill(mine, signal.SIGKILL)
        until_said(run, "was killed by SIGKILL")
        until(lambda: not any(folder.glob(f".new-{mine}-*")), "the unfinished file is still there")
        run.stop()
    assert not any(folder.glob(".new-*"))


def test_rules_that_workers_cannot_load_leave_those_before(crew: Start, tmp_path: Path) -> None:
    """Handlers that only the first process can import."""
    run = crew()
    assert get(run.port) == b"hi"
    (tmp_path / "once.py").write_text(
        "import pathlib\npathlib.Path('taken').touch(exist_ok=False)\n\ndef answer(request):\n    return {'status': 204}\n"
    )
    (tmp_path / "rules.yaml").write_text("rules: [{id: once, then: {python: 'once.py:answer'}}]\n")
    os.kill(run.pid, signal.SIGHUP)
    until_said(run, "worker 1 keeps the rules before")
    until_said(run, "worker 2 keeps the rules before")
    assert get(run.port) == b"hi"
    session = run.stop()
    assert session.code == 70
    assert "Traceback" not in session.stderr


def test_a_worker_that_cannot_be_started_again_ends_the_run(crew: Start, tmp_path: Path) -> None:
    run = crew()
    mine = pid_of(run.port)
    (tmp_path / "who.py").write_text(f"import os\nif os.getpid() != {run.pid}:\n    os._exit(9)\n{WHO}")
    os.kill(mine, signal.SIGKILL)
    until_said(run, "ended 3 times before it was ready: the run ends")
    session = run.stop()
    assert session.code == 70
    assert session.one("session-ended")
