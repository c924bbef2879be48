"""A signal ends whatever is under way: in time, with its exit code, without a traceback, and what is recorded is whole."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import until, until_there

Start = Callable[..., Any]

PROGRAM = (sys.executable, "-m", "mockrec.cli")
SECONDS = 15.0
"""What an end may take on a busy machine; what never ends takes longer."""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
RULES = "rules: [{then: {reply: {body: hi}}}]\n"
COPIES = 60


@pytest.fixture(scope="module")
def sessions(shared_recorder: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `small.jsonl`, and `big.jsonl`, which every command takes seconds for."""
    folder = tmp_path_factory.mktemp("sessions")
    run = shared_recorder(RULES, out="small.jsonl")
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)
    for number in range(200):
        client.request("POST", f"/{number}", json.dumps({"numbers": list(range(100)), "number": number}))
        client.getresponse().read()
    client.close()
    run.stop()
    (folder / "small.jsonl").write_bytes(run.log.read_bytes())
    first, *others, _last = map(json.loads, run.log.read_bytes().splitlines())
    seq = 0
    with (folder / "big.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps(first, separators=(",", ":")) + "\n")
        for copy in range(COPIES):
            for record in others:
                seq += 1
                changed = record | {"seq": seq}
                if "id" in record:
                    changed["id"] = f"{record['id'][:-4]}{copy:04x}"
                file.write(json.dumps(changed, separators=(",", ":")) + "\n")
    return folder


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`begin("filter", …)`: the real program in the test's folder; it is killed at the end if it still runs."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(*argv: str | Path, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        with (tmp_path / "said").open("wb") as said:
            process = subprocess.Popen(
                [*PROGRAM, *map(str, argv)], cwd=tmp_path, stdin=subprocess.PIPE, stdout=stdout, stderr=said,
                process_group=0,
            )  # fmt: skip
        begun.append(process)
        return process

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def until_read(process: subprocess.Popen[bytes], path: Path, position: int = 1) -> None:
    """Wait until a process has read so far in a file."""

    def has_read() -> bool:
        assert process.poll() is None, "it has ended already"
        folder = Path(f"/proc/{process.pid}/fd")
        for number in os.listdir(folder):
            try:
                if os.readlink(folder / number) == str(path):
                    info = Path(f"/proc/{process.pid}/fdinfo/{number}").read_text()
                    if int(info.split("pos:")[1].split()[0]) >= position:
                        return True
            except OSError:
                pass  # it has been closed meanwhile
        return False

    until(has_read, f"{path.name} is not read")


def ended(process: subprocess.Popen[bytes], number: int, tmp_path: Path, code: int | None = None) -> str:
    """Send the signal; what the program has said, once it has ended as it should."""
    process.send_signal(number)
    assert process.wait(SECONDS) == (128 + number if code is None else code)
    said = (tmp_path / "said").read_text()
    assert "Traceback" not in said
    assert "defect" not in said
    return said


# ── commands that read sessions ────────────────────────────────────────────────────────────────────

READS_BIG = {
    "filter": ("filter", "{big}", "status == 200", "-o", "out.jsonl"),
    "filter by regex": ("filter", "{big}", "url ~ 'x.*9$'", "-o", "out.jsonl"),
    "sort": ("filter", "{big}", "--sort", "duration", "--fields", "url,duration", "-o", "out.csv"),
    "to Parquet": ("filter", "{big}", "-o", "out.parquet"),
    "to HAR": ("filter", "{big}", "-o", "out.har"),
    "diff": ("diff", "{big}", "{big}"),
    "verify": ("verify", "{big}"),
    "repair": ("verify", "{big}", "--repair", "out.jsonl"),
    "show": ("show", "{big}"),
    "stats": ("stats", "{big}"),
    "replay --serve": ("replay", "{big}", "--serve", "--port", "0"),
    "replay --to-rules": ("replay", "{big}", "--to-rules", "out.yaml"),
    "replay --to": ("replay", "{big}", "--to", "http://127.0.0.1:9"),
}


@pytest.mark.parametrize(
    ("name", "number"),
    [*((name, signal.SIGINT) for name in READS_BIG), ("filter", signal.SIGTERM)],
)
def test_in_the_middle_of_a_large_session(begin: Any, sessions: Path, tmp_path: Path, name: str, number: int) -> None:
    big = sessions / "big.jsonl"
    process = begin(*(word.format(big=big) for word in READS_BIG[name]))
    until_read(process, big, 200_000)
    ended(process, number, tmp_path)
    assert os.listdir(tmp_path) == ["said"]  # nothing that would be taken for the whole


@pytest.mark.parametrize("number", [signal.SIGINT])
@pytest.mark.parametrize(
    "words", ["filter -", "show -", "stats -", "verify -", "diff - {small}", "replay - --to http://127.0.0.1:9"]
)
def test_while_stdin_says_nothing(begin: Any, sessions: Path, tmp_path: Path, words: str, number: int) -> None:
    process = begin(*words.format(small=sessions / "small.jsonl").split())
    first = (sessions / "small.jsonl").read_bytes().partition(b"\n")[0]
    process.stdin.write(first + b"\n")
    process.stdin.flush()
    pipe = process.stdin.fileno()
    until(lambda: unread(pipe) == 0, "stdin is not read")
    ended(process, number, tmp_path)


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


@SIGNALS
def test_while_a_session_is_followed(begin: Any, sessions: Path, tmp_path: Path, number: int) -> None:
    growing = tmp_path / "growing.jsonl"
    lines = (sessions / "small.jsonl").read_bytes().splitlines(keepends=True)
    growing.write_bytes(b"".join(lines[:-1]))
    process = begin("filter", "--follow", growing, stdout=subprocess.PIPE)
    assert process.stdout.read(10)
    ended(process, number, tmp_path)


# ── named pipes ────────────────────────────────────────────────────────────────────────────────────

TO_PIPE = {
    "run": ("run", "--port", "0", "-o", "pipe"),
    "filter": ("filter", "{small}", "-o", "pipe"),
    "replay": ("replay", "{small}", "--to", "http://127.0.0.1:9", "-o", "pipe"),
    "diff": ("diff", "{small}", "{small}", "-o", "pipe.md"),
    "ca": ("ca", "export", "-o", "pipe"),
}


@pytest.mark.parametrize(
    ("name", "number"),
    [*((name, signal.SIGINT) for name in TO_PIPE), ("run", signal.SIGTERM), ("run", signal.SIGHUP)],
)
def test_while_nobody_reads_the_output(begin: Any, sessions: Path, tmp_path: Path, name: str, number: int) -> None:
    pipe = TO_PIPE[name][-1]
    os.mkfifo(tmp_path / pipe)
    process = begin(*(word.format(small=sessions / "small.jsonl") for word in TO_PIPE[name]))
    until(
        lambda: f"waiting for a reader of {pipe} (a named pipe)" in (tmp_path / "said").read_text(), "it does not wait"
    )
    ended(process, number, tmp_path, -number if number == signal.SIGHUP else None)


def test_a_reader_that_comes_late_gets_everything(begin: Any, sessions: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = begin("filter", sessions / "small.jsonl", "-o", "pipe")
    until(lambda: "waiting for a reader" in (tmp_path / "said").read_text(), "it does not wait")
    got = (tmp_path / "pipe").read_bytes()
    assert process.wait(SECONDS) == 0
    assert got.count(b"\n") >= 200


def test_a_reader_that_leaves(begin: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "rules.yaml").write_text(RULES)
    process = begin("run", "rules.yaml", "--port", "0", "-o", "pipe", "--ready-file", "ready")
    with (tmp_path / "pipe").open("rb", buffering=0) as pipe:
        assert pipe.read(10)
        until_there(tmp_path / "ready")
    port = json.loads((tmp_path / "ready").read_text())["port"]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/")
    assert client.getresponse().read() == b"hi"
    client.close()
    assert process.wait(SECONDS) == 141
    assert "mockrec: cannot write pipe: the reader went away" in (tmp_path / "said").read_text()


@SIGNALS
def test_a_reader_that_does_not_read(begin: Any, tmp_path: Path, number: int) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{then: {reply: {body: '" + "x" * 100_000 + "'}}}]\n")
    process = begin("run", "rules.yaml", "--port", "0", "-o", "-", "--ready-file", "ready", stdout=subprocess.PIPE)
    until_there(tmp_path / "ready")
    port = json.loads((tmp_path / "ready").read_text())["port"]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(5):
        client.request("GET", "/")
        client.getresponse().read()
    client.close()
    said = ended(process, number, tmp_path, 3)
    assert "cannot write stdout: it takes no more" in said


def test_a_device_that_is_full(begin: Any, sessions: Path, tmp_path: Path) -> None:
    process = begin("filter", sessions / "small.jsonl", "-o", "/dev/full")
    assert process.wait(SECONDS) == 3
    assert "cannot write /dev/full: No space left on device" in (tmp_path / "said").read_text()


# ── replay ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes connections and says nothing: its URL, and whether a request has come."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        open_ones: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    open_ones.append(listening.accept()[0])
                    if open_ones[-1].recv(10):
                        asked.set()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
        for one in open_ones:
            one.close()


@pytest.mark.parametrize(
    ("out", "number"),
    [("out.jsonl", signal.SIGTERM), ("out.har", signal.SIGINT), ("out.parquet", signal.SIGINT)],
)
def test_while_a_server_says_nothing(
    begin: Any, sessions: Path, tmp_path: Path, silent: Any, program: Any, number: int, out: str
) -> None:
    url, asked = silent
    process = begin("replay", sessions / "small.jsonl", "--to", url, "--pace", "max", "-o", out)
    assert asked.wait(20)
    ended(process, number, tmp_path)
    assert program("verify", out).returncode == 0  # closed as it should be
    shown = program("filter", out, "--records", "type == session-ended").stdout
    assert json.loads(shown.splitlines()[-1])["reason"] == signal.Signals(number).name


def test_between_two_requests(begin: Any, sessions: Path, tmp_path: Path, silent: Any) -> None:
    url, asked = silent
    process = begin("replay", sessions / "small.jsonl", "--to", url, "--pace", "0.00001x", "-o", "out.jsonl")
    assert asked.wait(20)
    ended(process, signal.SIGINT, tmp_path)


# ── run ────────────────────────────────────────────────────────────────────────────────────────────

SLOW_IMPORT = "import pathlib, time\npathlib.Path(__file__).with_name('up').touch()\ntime.sleep(1000)\ndef answer(request): return None\n"


@SIGNALS
def test_while_a_file_of_handlers_is_loaded(begin: Any, tmp_path: Path, number: int) -> None:
    (tmp_path / "slow.py").write_text(SLOW_IMPORT)
    (tmp_path / "rules.yaml").write_text('rules: [{then: {python: "slow.py:answer"}}]\n')
    process = begin("run", "rules.yaml", "--port", "0", "-o", "s.jsonl")
    until_there(tmp_path / "up")
    ended(process, number, tmp_path)
    assert not (tmp_path / "s.jsonl").exists()


NO_WAKE = """
import os, signal, threading, time

def send(main):
    while open(f"/proc/self/task/{main}/syscall").read().split()[0] not in ("230", "115"):
        pass  # clock_nanosleep of x86-64 and of ARM64
    signal.pthread_kill(threading.get_ident(), signal.NUMBER)

threading.Thread(target=send, args=[os.getpid()], daemon=True).start()
time.sleep(1000)
"""
"""The signal comes when the main thread is about to block: here, the system gives it to another thread."""


@SIGNALS
def test_a_signal_that_interrupts_no_system_call(begin: Any, tmp_path: Path, number: int) -> None:
    (tmp_path / "handlers.py").write_text(NO_WAKE.replace("NUMBER", signal.Signals(number).name))
    (tmp_path / "rules.yaml").write_text('rules: [{then: {python: "handlers.py:answer"}}]\n')
    assert begin("run", "rules.yaml", "--port", "0").wait(SECONDS) == 128 + number


COMMAND = """
from mockrec.cli import interrupts
interrupts.begin(is_process=True)
try:
    with interrupts.raising():
        exec(NO_WAKE)
except KeyboardInterrupt:
    print("tidied up")
"""


@SIGNALS
def test_a_signal_that_interrupts_no_system_call_lets_a_command_tidy_up(number: int) -> None:
    code = COMMAND.replace("NO_WAKE", repr(NO_WAKE.replace("NUMBER", signal.Signals(number).name)))
    done = subprocess.run([sys.executable, "-c", code], timeout=SECONDS, stdout=subprocess.PIPE, check=False)
    assert done.stdout == b"tidied up\n"


FORKS = """
import os, signal

def answer(request):
    child = os.fork()
    if not child:
        while True:
            signal.pause()
    os.kill(child, signal.SIGTERM)
    return {"body": str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))}
"""


def test_a_signal_for_a_process_that_a_function_forks(recorder: Start, tmp_path: Path) -> None:
    """It ends that process, and not the run."""
    (tmp_path / "handlers.py").write_text(FORKS)
    run = recorder('rules: [{then: {python: "handlers.py:answer"}}]\n')
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)
    for _ in range(3):
        client.request("GET", "/")
        assert client.getresponse().read() == b"-15"
    client.close()
    assert run.stop(signal.SIGINT).one("session-ended")["reason"] == "SIGINT"


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGINT), ("2", signal.SIGTERM)])
def test_while_rules_are_reloaded(recorder: Start, tmp_path: Path, number: int, workers: str) -> None:
    run = recorder(RULES, "--grace", "200ms", "--workers", workers)
    (tmp_path / "slow.py").write_text(SLOW_IMPORT)
    (tmp_path / "rules.yaml").write_text('rules: [{then: {python: "slow.py:answer"}}]\n')
    os.kill(run.pid, signal.SIGHUP)
    until_there(tmp_path / "up")
    client = http.client.HTTPConnection("127.0.0.1", run.port, timeout=20)
    client.request("GET", "/")
    assert client.getresponse().read() == b"hi"  # by the rules before
    client.close()
    session = run.stop(number)
    assert session.code == 0
    assert session.one("session-ended")["reason"] == signal.Signals(number).name


def test_a_command_that_heeds_no_signal_is_ended_by_the_second(begin: Any, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    script = "trap '' INT TERM; sleep 1000 & touch up; sleep 1000; sleep 1000"
    process = begin("run", "rules.yaml", "-o", "s.jsonl", "--grace", "200ms", "--", "bash", "-c", script)
    until_there(tmp_path / "up")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 128 + signal.SIGKILL
    assert b"session-ended" in (tmp_path / "s.jsonl").read_bytes().splitlines()[-1]


SLOW = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"
WITHOUT_END = "{regex: '^(a|a)*$', syntax: python}"
AT_WORK = {
    "path": f"when: {{pathRegex: {WITHOUT_END.replace('^', '^/')}}}",
    "body": f"when: {{bodyRegex: {WITHOUT_END}}}",
    "field": f"when: {{headers: {{X-A: {WITHOUT_END}}}}}",
    "not": f"when: {{not: {{bodyRegex: {WITHOUT_END}}}}}",
    "PAC": "when: {path: /never}",
}


@SIGNALS
@pytest.mark.parametrize("name", AT_WORK)
def test_while_a_matcher_is_at_work(recorder: Start, tmp_path: Path, name: str, number: int) -> None:
    """In a helper process, which would need years, and which gets a minute."""
    (tmp_path / "p.pac").write_text("function FindProxyForURL(url, host) { for (;;); }")
    rules = f"server: {{limits: {{matchTime: 60s}}}}\nrules: [{{{AT_WORK[name]}, then: {{reply: {{body: hi}}}}}}]\n"
    if name == "PAC":
        rules += "unmatched: passthrough\nupstream: {proxy: {pac: p.pac}}\n"
    run = recorder(rules, "--grace", "200ms")
    with socket.create_connection(("127.0.0.1", run.port)) as client:
        target = f"http://a.test/{SLOW}" if name == "PAC" else f"/{SLOW}"
        head = f"POST {target} HTTP/1.1\r\nHost: a.test\r\nX-A: {SLOW}\r\nContent-Length: {len(SLOW)}\r\n\r\n"
        client.sendall(head.encode() + SLOW.encode())
        until(lambda: any(used > 1.0 for used in children_cpu(run.pid)), "no helper is at work")
        session = run.stop(number)
    assert session.code == 0
    assert session.one("session-ended")["reason"] == signal.Signals(number).name
    assert len(session.by_type("abort")) == 1


def children_cpu(pid: int) -> list[float]:
    """The CPU time that each child of a process has used, in seconds."""
    used = []
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            with suppress(OSError):
                words = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                used.append((int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"))
    return used


def is_answered(port: int, path: str) -> bool:
    """Whether an answer comes in a time that is long even for a busy machine."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        client.request("GET", path)
        return bool(client.getresponse().read())
    except TimeoutError:
        return False
    finally:
        client.close()


def test_while_the_event_loop_is_held_up(tmp_path: Path) -> None:
    """Nobody reads stderr, so that what is said there blocks: the log is closed without the loop."""
    (tmp_path / "handlers.py").write_text("def answer(request): raise ValueError(request.path + 'x' * 2000)\n")
    (tmp_path / "rules.yaml").write_text('rules: [{then: {python: "handlers.py:answer"}}]\n')
    process = subprocess.Popen(
        [*PROGRAM, "run", "rules.yaml", "--port", "0", "-o", "s.jsonl", "--ready-file", "ready", "--grace", "200ms"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        until_there(tmp_path / "ready")
        port = json.loads((tmp_path / "ready").read_text())["port"]
        answered = 0
        while answered < 1000 and is_answered(port, f"/{answered}"):
            answered += 1
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    records = [json.loads(line) for line in (tmp_path / "s.jsonl").read_bytes().splitlines()]
    assert records[-1]["type"] == "session-ended"
    assert records[-1]["reason"] == "SIGINT"
    assert sum(record["type"] == "response" for record in records) == answered
    assert [record["error"]["code"] for record in records if record["type"] == "abort"] == ["E_HELD_UP"]
    assert [record["seq"] for record in records] == list(range(len(records)))


# ── outputs that are not finished ──────────────────────────────────────────────────────────────────

OUTPUTS = ("out.jsonl", "out.jsonl.gz", "out.har", "out.parquet")


@pytest.mark.parametrize("out", OUTPUTS)
def test_an_output_that_is_not_finished_is_removed(begin: Any, sessions: Path, tmp_path: Path, out: str) -> None:
    process = begin("filter", "-", "-o", out)
    process.stdin.write((sessions / "small.jsonl").read_bytes() * 3)
    process.stdin.flush()
    until(lambda: len(os.listdir(tmp_path)) > 1, "nothing is written")
    ended(process, signal.SIGINT, tmp_path)
    assert os.listdir(tmp_path) == ["said"]


def test_what_was_there_stays_until_the_new_one_is_whole(begin: Any, sessions: Path, tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_bytes(b"PAR1 of yesterday")
    process = begin("filter", "-", "-o", "out.parquet", "--force")
    process.stdin.write((sessions / "small.jsonl").read_bytes())
    process.stdin.flush()
    until(lambda: len(os.listdir(tmp_path)) > 2, "nothing is written")
    ended(process, signal.SIGINT, tmp_path)
    assert (tmp_path / "out.parquet").read_bytes() == b"PAR1 of yesterday"
