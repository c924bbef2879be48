"""No client waits for another client's text: what could take long is done by helpers, within a limit."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.sync.client import connect

from mockrec.engine.offload.pool import Helpers, TooLong

Start = Callable[..., Any]

RULES = """version: 1
server: {limits: {matchTime: 1s}}
rules:
  - {id: slow, when: {pathRegex: {regex: '^/(a+)+$', syntax: python}}, then: {reply: {body: slow}}}
  - {id: twice, when: {pathRegex: {regex: '^/(b)\\1$', syntax: python}}, then: {reply: {body: twice}}}
  - {id: deep, when: {path: /deep, jsonPath: {'$..x..y..z': 1}}, then: {reply: {body: deep}}}
  - {id: list, when: {path: /list, jsonIncludes: {b: [7]}}, then: {reply: {body: list}}}
  - {id: rest, when: {}, then: {reply: {body: rest}}}
"""
RUNAWAY = "/" + "a" * 60 + "!"


def send(port: int, path: str, body: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return sock


def answer(sock: socket.socket) -> str:
    said = b""
    while not (b"\r\n\r\n" in said and said.endswith((b"slow", b"twice", b"deep", b"list", b"rest"))):
        data = sock.recv(65536)
        assert data, said
        said += data
    return said.rpartition(b"\r\n")[2].decode()


def ask(port: int, path: str, body: bytes = b"") -> str:
    with send(port, path, body) as sock:
        return answer(sock)


def test_a_runaway_pattern_holds_up_nobody_and_ends(recorder: Start) -> None:
    run = recorder(RULES)
    assert ask(run.port, "/bb") == "twice"
    with send(run.port, RUNAWAY) as slow:
        slow.setblocking(False)
        for _ in range(20):
            assert ask(run.port, "/bb") == "twice"
            with pytest.raises(BlockingIOError):  # so all of these came before the slow one
                slow.recv(1)
        slow.settimeout(60)
        assert answer(slow) == "rest"
    assert ask(run.port, "/aa") == "slow"  # by another helper
    session = run.stop()
    tagged = [record for record in session.by_type("response") if record["tags"]]
    assert [record["tags"] for record in tagged] == [["match-limit:pathRegex"]]
    warning = "mockrec: warning: rule slow: pathRegex took longer than 1s of CPU time, so it does not match"
    assert session.stderr.count(warning) == 1
    assert session.audit() == []


def test_long_bodies_are_matched_as_short_ones_are(recorder: Start) -> None:
    run = recorder(RULES)
    long = json.dumps({"a": list(range(200_000)), "b": [[], 7.0]}).encode()
    assert ask(run.port, "/list", long) == "list"
    assert ask(run.port, "/list", long.replace(b"7.0", b"8.0")) == "rest"
    assert ask(run.port, "/list", b'{"b": [7]}') == "list"
    assert ask(run.port, "/deep", b'{"x": {"a": {"y": [{"z": 1}]}}}') == "deep"
    session = run.stop()
    assert [record["tags"] for record in session.by_type("response")] == [[]] * 4


def test_a_query_that_takes_too_long_does_not_match(recorder: Start) -> None:
    run = recorder(RULES)
    nested = '{"x":{"y":' * 45 + "[" + ",".join(['{"x":{"y":{"z":2}}}'] * 20_000) + "]" + "}}" * 45
    assert ask(run.port, "/deep", nested.encode()) == "rest"
    session = run.stop()
    assert session.one("response")["tags"] == ["match-limit:jsonPath"]


def test_a_change_that_takes_too_long_is_told(recorder: Start, upstream: Callable[..., Any]) -> None:
    server = upstream()
    change = "{matchReplaceBody: [[{regex: '(a+)+$', syntax: python}, x], ['(?P<b>b)', '\\g<b>\\1']]}"
    run = recorder(
        "version: 1\nserver: {limits: {matchTime: 1s}}\nrules:\n"
        f"  - then: {{forward: {{to: '{server.url}', request: {change}}}}}\n"
    )
    with send(run.port, "/", b"aab" + b"b" * 100_000) as sock:
        assert b"200 OK" in sock.recv(65536)
    assert server.requests[-1].body == b"aabb" + b"bb" * 100_000
    with send(run.port, "/", b"a" * 60 + b"!") as sock:
        said = sock.recv(65536)
    assert b"500" in said.partition(b"\r\n")[0]
    assert b"a change of the rule took longer than 1s of CPU time (server.limits.matchTime)" in said
    assert len(server.requests) == 1
    session = run.stop()
    assert session.by_type("response")[1]["tags"] == ["match-limit:matchReplaceBody"]
    assert "warning: rules[0].then.forward.request took longer than 1s of CPU time, so it failed" in session.stderr


def test_a_script_whose_expectation_takes_too_long_goes_on(recorder: Start) -> None:
    run = recorder(
        "version: 1\nserver: {limits: {matchTime: 1s}}\nrules:\n"
        "  - then: {script: [{expect: {regex: '^(a+)+$', syntax: python}}, {expect: {jsonIncludes: [2]}}, {send: end}]}\n"
    )
    with connect(f"ws://127.0.0.1:{run.port}/", max_size=None) as socket:
        socket.send("a" * 60 + "!")
        socket.send(json.dumps([*range(100_000)]))
        assert socket.recv() == "end"
    session = run.stop()
    (mismatch,) = [record for record in session.by_type("rule-event") if record["eventType"] == "script-mismatch"]
    assert mismatch["eventData"]["expected"] == {"regex": "^(a+)+$"}
    assert "warning: rules[0].then.script[0].expect took longer than 1s of CPU time" in session.stderr
    assert session.one("websocket-close")["tags"] == ["match-limit:expect"]


def test_a_long_call_of_json_rpc_is_answered(recorder: Start) -> None:
    run = recorder("version: 1\nrules: [{when: {jsonRpc: {method: add}}, then: {jsonRpc: {result: 3}}}]\n")
    call = {"jsonrpc": "2.0", "id": "x", "method": "add", "params": [*range(100_000)]}
    with send(run.port, "/", json.dumps(call).encode()) as sock:
        assert b'{"jsonrpc":"2.0","id":"x","result":3}' in sock.recv(65536)
    run.stop()


def test_ctrl_c_ends_while_a_matcher_is_at_work(recorder: Start) -> None:
    run = recorder(RULES.replace("matchTime: 1s", "matchTime: 1h"), "--grace", "0.2s")
    with send(run.port, RUNAWAY) as slow:
        assert ask(run.port, "/bb") == "twice"
        session = run.stop()
        assert slow.recv(1) == b""
    assert len(session.by_type("abort")) == 1


@pytest.mark.parametrize("workers", ["2"])
def test_workers_have_helpers_too(recorder: Start, workers: str) -> None:
    run = recorder(RULES, "--workers", workers)
    assert ask(run.port, "/bb") == "twice"
    assert ask(run.port, RUNAWAY) == "rest"
    session = run.stop()
    assert "warning: rule slow: pathRegex took longer than 1s" in session.stderr


# ── the pool ───────────────────────────────────────────────────────────────────────────────────────


def with_helpers(test: Callable[[Helpers], Any], seconds: float = 1.0, most: int = 2) -> None:
    async def run() -> None:
        helpers = Helpers(seconds, most=most)
        async with anyio.create_task_group() as group:
            group.start_soon(helpers.run)
            await anyio.lowlevel.checkpoint()
            await test(helpers)
            group.cancel_scope.cancel()

    anyio.run(run)


def test_results_and_errors_come_back() -> None:
    async def test(helpers: Helpers) -> None:
        assert await helpers.call(pow, 2, 10) == 1024
        with pytest.raises(ZeroDivisionError):
            await helpers.call(divmod, 1, 0)
        assert await helpers.call(os.getpid) != os.getpid()

    with_helpers(test)


def test_a_subject_is_sent_once_while_it_lasts() -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(1)
        return [1, 2, 3]

    async def test(helpers: Helpers) -> None:
        for _ in range(3):
            assert await helpers.call(list.count, 2, subject=("id", make)) == 1
        assert len(made) == 1
        assert await helpers.call(list.count, 2, subject=("other", lambda: [])) == 0

    with_helpers(test, most=1)


def test_what_takes_too_long_ends_and_its_helper_is_replaced() -> None:
    async def test(helpers: Helpers) -> None:
        with pytest.raises(TooLong, match="took longer than 0.2s of CPU time"):
            await helpers.call(sum, range(10**12))
        with pytest.raises(TooLong, match="memory|CPU"):
            await helpers.call(list, range(10**9))
        with pytest.raises(TooLong):
            await helpers.call(os.kill, await helpers.call(os.getpid), signal.SIGKILL)
        assert await helpers.call(pow, 2, 3) == 8

    with_helpers(test, seconds=0.2, most=1)


def test_who_stops_waiting_leaves_no_helper_at_work() -> None:
    async def test(helpers: Helpers) -> None:
        pid = await helpers.call(os.getpid)
        with anyio.move_on_after(0.2):
            await helpers.call(sum, range(10**12))
        assert await helpers.call(os.getpid) != pid
        while _exists(pid):
            await anyio.sleep(0.01)

    with_helpers(test, seconds=3600, most=1)


def test_more_jobs_than_helpers_take_turns() -> None:
    async def test(helpers: Helpers) -> None:
        results: list[int] = []

        async def one(number: int) -> None:
            results.append(await helpers.call(pow, number, 2))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)
        assert sorted(results) == [number * number for number in range(10)]

    with_helpers(test)


def test_a_helper_whose_recorder_was_killed_does_not_stay(recorder: Start, tmp_path: Path) -> None:
    run = recorder(RULES)
    with send(run.port, RUNAWAY):
        assert ask(run.port, "/bb") == "twice"
        children = partial(_helpers_of, run.process.pid)
        pids = children()
        assert pids
        run.process.kill()
        run.process.wait()
        deadline = time.monotonic() + 60
        while any(map(_exists, pids)):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _helpers_of(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = re.match(r"(\d+) \(.*\) \S (\d+)", status.read_text())
        except OSError:
            continue
        if parent is not None and int(parent[2]) == pid:
            found.append(int(parent[1]))
    return found
