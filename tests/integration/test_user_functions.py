"""The user's functions may raise, return and do what they like: the client and the log hear of it, the run goes on."""

from __future__ import annotations

import http.client
import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until_said, until_there

Start = Callable[..., Any]

RAISED = {
    "CancelledError": "asyncio.CancelledError('why')",
    "KeyboardInterrupt": "KeyboardInterrupt('why')",
    "SystemExit": "SystemExit('why')",
    "GeneratorExit": "GeneratorExit('why')",
    "BaseExceptionGroup": "BaseExceptionGroup('why', [KeyboardInterrupt(), asyncio.CancelledError()])",
    "Bare": "Bare('why')",
    "StopIteration": "StopIteration('why')",
    "StopAsyncIteration": "StopAsyncIteration('why')",
    "RecursionError": "RecursionError('why')",
    "MemoryError": "MemoryError('why')",
    "Hostile": "Hostile('why')",
}
HANDLERS = """
import asyncio

class Bare(BaseException): pass

class Hostile(BaseException):
    def __str__(self): raise KeyboardInterrupt
    __repr__ = __str__

""" + "".join(
    f"""
def plain_{name}(request): raise {made}
async def later_{name}(request):
    await asyncio.sleep(0)
    raise {made}
async def at_once_{name}(request): raise {made}
def matcher_{name}(request): raise {made}
"""
    for name, made in RAISED.items()
)  # fmt: skip
STEPS = ("plain", "later", "at_once")
RULES = "rules:\n" + "".join(
    [f'  - {{id: {step}-{name}, when: {{path: /{step}/{name}}}, then: {{python: "handlers.py:{step}_{name}"}}}}\n'
     for name in RAISED for step in STEPS]
    + [f'  - {{id: matcher-{name}, when: {{path: /matcher/{name}, python: "handlers.py:matcher_{name}"}}, then: close}}\n'
       for name in RAISED]
    + ["  - {id: hi, when: {path: /hi}, then: {reply: {body: hi}}}\n"]
)  # fmt: skip
CASES = [(place, name) for name in RAISED for place in (*STEPS, "matcher")]


def get(port: int, path: str) -> tuple[int, str]:
    """One request on a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


@pytest.fixture
def started(recorder: Start, tmp_path: Path) -> Start:
    """`mockrec run` with the handlers of this file."""

    def start(handlers: str, rules: str, *options: Any, **more: Any) -> Any:
        (tmp_path / "handlers.py").write_text(handlers)
        return recorder(rules, *options, **more)

    return start


def line_of(place: str, name: str) -> int:
    """The line in which the function begins."""
    return next(number for number, line in enumerate(HANDLERS.splitlines(), 1) if f"def {place}_{name}(" in line)


def check_answer(place: str, name: str, status: int, body: str) -> None:
    """A 500 that names the function, where it is, and what it raised."""
    assert status == 500, (place, name)
    told = "RuntimeError" if place not in ("plain", "matcher") and name == "StopIteration" else name
    assert told in body, (place, name, body)
    assert f"handlers.py:{line_of(place, name)}" in body, (place, name, body)
    assert f"{place}_{name}" in body, (place, name, body)


def test_whatever_is_raised_over_http1(started: Start) -> None:
    run = started(HANDLERS, RULES)
    for place, name in CASES:
        check_answer(place, name, *get(run.port, f"/{place}/{name}"))
    assert get(run.port, "/hi") == (200, "hi")
    check_session(run.stop(), run.stderr)


def test_whatever_is_raised_over_http2(started: Start, connect: Any) -> None:
    run = started(HANDLERS, RULES)
    talk = connect(run.port)  # one connection for all of them
    for place, name in CASES:
        status, body = talk.answer(talk.ask(f"/{place}/{name}"))
        check_answer(place, name, int(status), body.decode())
    assert talk.answer(talk.ask("/hi"))[1] == b"hi"
    check_session(run.stop(), run.stderr)


def test_whatever_is_raised_in_a_worker(started: Start) -> None:
    run = started(HANDLERS, RULES, "--workers", "2")
    for place, name in CASES:
        check_answer(place, name, *get(run.port, f"/{place}/{name}"))
    check_session(run.stop(), run.stderr)


def check_session(session: Any, stderr: str) -> None:
    """The log has each with its traceback, stderr in lines for people, and nothing is a defect."""
    assert session.code == 0
    assert session.one("session-ended")["reason"] == "SIGINT"
    errors = [event for event in session.by_type("rule-event") if event["eventType"] == "python-error"]
    assert sorted(event["ruleId"] for event in errors) == sorted(f"{place}-{name}" for place, name in CASES)
    assert all("handlers.py" in event["eventData"]["error"]["stack"] for event in errors)
    assert session.by_type("abort") == []
    assert "Traceback" not in stderr
    assert "defect" not in stderr
    for place, name in CASES:
        number = line_of(place, name)
        assert f"mockrec: handlers.py:{number}: {place}_{name}() raised " in stderr
        assert f"in {place}_{name}: " in stderr  # the line that raised, as it stands in the file


# ── callbacks ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_callbacks_may_raise_anything(started: Start, kind: str) -> None:
    handlers = (
        HANDLERS
        + f"""
made = iter([{", ".join(f"lambda: {made}" for made in RAISED.values())}])

{kind} hear(event):
    raise next(made)()
"""
    )
    rules = "record: {callbacks: {response: handlers.py:hear}}\nrules:\n  - {id: hi, then: {reply: {body: hi}}}\n"
    run = started(handlers, rules)
    for _ in RAISED:
        assert get(run.port, "/hi") == (200, "hi")
    session = run.stop()
    assert session.code == 0
    told = [record["error"]["name"] for record in session.by_type("callback-error")]
    as_it_comes = ["RuntimeError" if name == "StopIteration" and kind == "async def" else name for name in RAISED]
    assert told == as_it_comes
    assert session.one("session-ended")["reason"] == "SIGINT"
    assert "defect" not in session.stderr
    assert "raised KeyboardInterrupt: why" in session.stderr


@pytest.mark.parametrize("raised", ["KeyboardInterrupt('why')", "SystemExit(0)", "asyncio.CancelledError()"])
def test_a_file_of_handlers_that_cannot_be_loaded(program: Any, tmp_path: Path, raised: str) -> None:
    (tmp_path / "handlers.py").write_text(f"import asyncio\nraise {raised}\n")
    (tmp_path / "rules.yaml").write_text('rules:\n  - {then: {python: "handlers.py:answer"}}\n')
    done = program("run", "rules.yaml", "--port", "0", "-o", "s.jsonl")
    assert done.returncode == 2
    assert f"handlers.py:2: {raised.partition('(')[0].rpartition('.')[2]}" in done.stderr
    assert not (tmp_path / "s.jsonl").exists()


# ── what they return, and do ───────────────────────────────────────────────────────────────────────

MISUSE = """
import asyncio, os, sys, threading, signal, time

def number(request): return 5
def text(request): return "hello"
def circle(request):
    made = {}
    made["json"] = made
    return made
def generator(request): yield {"body": "x"}
def a_class(request): return dict
class Odd(dict):
    def get(self, *_): raise KeyboardInterrupt
def odd(request): return Odd(status=200)
def exits(request): sys.exit(3)
def closes(request):
    sys.stderr.close(); sys.stdout.close()
    raise ValueError("after all is closed")
async def stops(request):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    return {"body": "still there"}
async def leaves_tasks(request):
    async def for_ever():
        while True:
            try: await asyncio.sleep(3600)
            except BaseException: pass
    asyncio.create_task(for_ever())
    return {"body": "left"}
def leaves_threads(request):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return {"body": "left"}
async def cancels(request):
    asyncio.current_task().cancel()
    await asyncio.sleep(3600)
signal.signal(signal.SIGINT, signal.SIG_IGN)
async def installs(request):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
async def ends_its_loop(request):
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    asyncio.create_task(raises())
    await asyncio.sleep(0.01)
    return {"body": "still there"}
async def raises(): raise KeyboardInterrupt("in a task that was left")
def moves(request):
    os.chdir("/")
    return {"body": "moved"}
def huge(request): raise ValueError("x" * 10_000_000)
"""
WRONG = {
    "number": "TypeError",
    "text": "TypeError",
    "circle": "ValueError: Circular",
    "generator": "TypeError",
    "a_class": "TypeError",
    "odd": "KeyboardInterrupt",
    "exits": "SystemExit",
    "closes": "ValueError: after all is closed",
    "cancels": "CancelledError",
    "huge": "ValueError: xxx",
    "installs": "ValueError: signal only works in main thread",
}
HARMLESS = {
    "stops": "still there",
    "leaves_tasks": "left",
    "leaves_threads": "left",
    "ends_its_loop": "still there",
    "moves": "moved",
}


@pytest.mark.parametrize("env", [{}, {"MOCKREC_LOOP": "asyncio"}], ids=["default loop", "asyncio"])
def test_what_they_return_and_do(started: Start, env: dict[str, str]) -> None:
    rules = "".join(
        f'  - {{id: {name}, when: {{path: /{name}}}, then: {{python: "handlers.py:{name}"}}}}\n'
        for name in (*WRONG, *HARMLESS)
    )
    run = started(MISUSE, f"rules:\n{rules}", env=env)
    for name, told in WRONG.items():
        status, body = get(run.port, f"/{name}")
        assert (status, told in body) == (500, True), (name, body[:500])
        assert f"{name}()" in body
        assert len(body) < 40_000
    for name, body in HARMLESS.items():
        assert get(run.port, f"/{name}") == (200, body)
    session = run.stop()
    assert session.code == 0
    assert "after all is closed" in session.stderr
    assert "KeyboardInterrupt: in a task that was left" in session.stderr
    assert "asked its event loop to stop, which goes on" in session.stderr
    assert "Traceback" not in session.stderr
    assert len(session.by_type("response")) == len(WRONG) + len(HARMLESS)
    assert session.one("session-ended")["reason"] == "SIGINT"


# ── functions that never return ────────────────────────────────────────────────────────────────────

BLOCKS = """
import asyncio, pathlib, threading, time
from concurrent.futures import ThreadPoolExecutor

def up(): (pathlib.Path(__file__).parent / "up").touch()
def plain(request):
    up()
    time.sleep(1000)
async def blocking(request):
    up()
    time.sleep(1000)
async def stubborn(request):
    up()
    while True:
        try: await asyncio.sleep(3600)
        except BaseException: pass
LOCK = threading.Lock()
LOCK.acquire()
def locked(request):
    up()
    LOCK.acquire()
def matcher(request):
    up()
    time.sleep(1000)
def threads(request):
    ThreadPoolExecutor().submit(time.sleep, 1000)
    up()
async def default_threads(request):
    up()
    await asyncio.to_thread(time.sleep, 1000)
def on_response(event):
    up()
    time.sleep(1000)
async def on_response_later(event):
    up()
    time.sleep(1000)
"""
BLOCKING = {
    "plain": 'when: {path: /x}, then: {python: "handlers.py:plain"}',
    "blocking": 'when: {path: /x}, then: {python: "handlers.py:blocking"}',
    "stubborn": 'when: {path: /x}, then: {python: "handlers.py:stubborn"}',
    "locked": 'when: {path: /x}, then: {python: "handlers.py:locked"}',
    "matcher": 'when: {path: /x, python: "handlers.py:matcher"}, then: close',
    "default_threads": 'when: {path: /x}, then: {python: "handlers.py:default_threads"}',
}


def asked(port: int) -> socket.socket:
    """A client that waits for its answer."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
    return client


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("name", BLOCKING)
def test_a_function_that_never_returns_does_not_keep_the_run(
    started: Start, tmp_path: Path, name: str, workers: str
) -> None:
    rules = f"rules:\n  - {{id: it, {BLOCKING[name]}}}\n  - {{when: {{path: /hi}}, then: {{reply: {{body: hi}}}}}}\n"
    run = started(BLOCKS, rules, "--grace", "300ms", "--workers", workers)
    with asked(run.port):
        until_there(tmp_path / "up")
        assert get(run.port, "/hi") == (200, "hi")  # it holds up nobody else
        session = run.stop()
    assert session.code == 0
    assert session.one("session-ended")["reason"] == "SIGINT"
    assert session.one("abort")["path"] == "/x"
    assert "Traceback" not in session.stderr
    place = BLOCKS.splitlines().index(next(line for line in BLOCKS.splitlines() if f"def {name}(" in line)) + 1
    if name == "default_threads":
        return  # it is told that it is cancelled, and ends; what it has started does not
    assert f"handlers.py:{place}: {name}() had not returned after" in session.stderr
    if name != "stubborn":
        assert f"is left behind (at handlers.py:{place + 2} in {name}())" in session.stderr


@pytest.mark.parametrize("name", ["on_response", "on_response_later"])
def test_a_callback_that_never_returns_does_not_keep_the_run(started: Start, tmp_path: Path, name: str) -> None:
    rules = f"record: {{callbacks: {{response: handlers.py:{name}}}}}\nrules: [{{then: {{reply: {{body: hi}}}}}}]\n"
    run = started(BLOCKS, rules, "--grace", "300ms")
    for _ in range(3):
        assert get(run.port, "/x") == (200, "hi")
    until_there(tmp_path / "up")
    session = run.stop()
    assert session.code == 0
    assert len(session.by_type("response")) == 3
    assert session.one("session-ended")["reason"] == "SIGINT"
    assert f"{name}() had not returned after" in session.stderr
    assert "the run ended before callbacks had seen 3 of their events" in session.stderr


def test_threads_that_never_end_do_not_keep_the_run(started: Start, tmp_path: Path) -> None:
    run = started(BLOCKS, 'rules: [{then: {python: "handlers.py:threads"}}]')
    assert get(run.port, "/x") == (200, "")
    session = run.stop()
    assert session.code == 0
    assert session.one("session-ended")["reason"] == "SIGINT"


def test_command_is_not_kept_waiting_by_a_function(started: Start, tmp_path: Path) -> None:
    script = f"exec 3<>/dev/tcp/127.0.0.1/$MOCKREC_PORT; printf 'GET /x HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n' >&3; " \
             f"until [ -e {shlex.quote(str(tmp_path / 'up'))} ]; do sleep 0.01; done; exit 7"  # fmt: skip
    run = started(BLOCKS, f"rules: [{{{BLOCKING['plain']}}}]", "--grace", "300ms", "--", "bash", "-c", script)
    session = run.wait()
    assert session.code == 7
    assert session.one("session-ended")["reason"] == "command ended"
    assert session.one("abort")["path"] == "/x"
    assert "plain() had not returned after" in session.stderr


def test_a_function_that_takes_long_is_told_of(started: Start) -> None:
    run = started(BLOCKS, f"rules: [{{{BLOCKING['plain']}}}]", "--grace", "0s")
    with asked(run.port):
        until_said(run, "plain() has been running for 5 s (at handlers.py:8 in plain())")
        run.stop()


def test_another_functions_loop_that_is_blocked_is_told_of(started: Start) -> None:
    run = started(BLOCKS, f"rules: [{{{BLOCKING['blocking']}}}]", "--grace", "0s")
    with asked(run.port):
        until_said(run, "handlers.py:11 in blocking() has blocked for")
        run.stop()
