"""What is left after `kill -9`: everything but the last moments, in whole lines."""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from progress import Moment, let_run

from mockrec.cli.__main__ import main
from mockrec.formats.sessions.session import open_session

RULES = """
version: 1
rules:
  - {id: a, when: {method: GET}, then: {reply: {body: "answer"}}}
  - {id: b, when: {method: POST}, then: {reply: {status: 201, json: {ok: true}}}}
"""
KILLS = 50
AT_ONCE = 2
PROMISED_SECONDS = 0.05
PROMISED_SECONDS_COMPRESSED = 1.0
"""What may be missing."""
MARGIN_SECONDS = 0.25
RUN_SECONDS = 0.08
"""What the recorder needs of a processor for what is promised; on a busy machine that takes it longer."""


class Load(threading.Thread):
    """Asks without pause until the connection breaks; notes when which numbered answer had come completely."""

    def __init__(self, port: int, pid: int, name: str) -> None:
        super().__init__(name=name)
        self._port = port
        self._pid = pid
        self.answered: list[tuple[Moment, str]] = []

    def run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        number = 0
        try:
            while True:
                number += 1
                path = f"/{self.name}/{number}"
                client.request("POST" if number % 3 == 0 else "GET", path, b"x" * 50 if number % 3 == 0 else None)
                client.getresponse().read()
                self.answered.append((Moment.of(self._pid), path))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            client.close()


@dataclass
class Killed:
    """What a killed recorder has left, and what its clients knew."""

    log: Path
    base: str
    answered: list[tuple[Moment, str]]
    at: Moment

    def due(self, promised: float) -> set[str]:
        """The URLs whose answers were complete so long before the kill that they must be in the log."""
        wall = promised + MARGIN_SECONDS
        return {self.base + path for when, path in self.answered if when.is_before(self.at, wall, RUN_SECONDS)}


def killed_under_load(recorder: Callable[..., Any], out: str, seed: int, load: tuple[float, float]) -> Killed:
    """Kill it at a random moment: so many seconds after the load began, and later where it does not get to run."""
    running = recorder(RULES, out=out)
    clients = [Load(running.port, running.pid, f"{seed}-{number}") for number in range(3)]
    for client in clients:
        client.start()
    # The moment is random and nothing waits for it: this is no synchronisation.
    seconds = random.Random(seed).uniform(*load)
    let_run(running.pid, seconds, min(seconds / 4, 2 * RUN_SECONDS))
    at = Moment.of(running.pid)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    for client in clients:
        client.join()
    return Killed(running.log, running.url, [entry for client in clients for entry in client.answered], at)


def all_killed(
    recorder: Callable[..., Any], names: Iterable[tuple[int, str]], load: tuple[float, float]
) -> list[Killed]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: killed_under_load(recorder, one[1], one[0], load), names))


def answered_urls(records: list[dict[str, Any]]) -> set[str]:
    return {record["url"] for record in records if record["type"] == "response"}


def assert_no_hole(records: list[dict[str, Any]]) -> None:
    assert [record["seq"] for record in records] == list(range(len(records)))


@pytest.mark.parametrize("half", range(2))
def test_plain_logs(recorder: Callable[..., Any], capsys: pytest.CaptureFixture[str], half: int) -> None:
    seeds = range(half * KILLS // 2, (half + 1) * KILLS // 2)
    names = [(seed, f"{seed}.jsonl") for seed in seeds]
    killed = all_killed(recorder, [one for one in names if one[0] % 5], (0.05, 0.4))
    # Later than what may be missing and the margin together, so that there is something that must not be missing.
    killed += all_killed(recorder, [one for one in names if one[0] % 5 == 0], (0.6, 0.9))
    for number, one in enumerate(killed):
        *lines, rest = one.log.read_bytes().split(b"\n")
        records = [orjson.loads(line) for line in lines]
        assert_no_hole(records)
        assert len(rest) < 10_000, "at most the last line is torn"
        assert one.due(PROMISED_SECONDS) <= answered_urls(records)
        if number % 3:
            continue  # it reads every line once more, which takes its time
        capsys.readouterr()
        assert main(["verify", str(one.log)]) == 1
        said = capsys.readouterr().out
        assert f"{one.log}: cut off: {len(records)} record" in said, "and what is there is read"
        assert "Traceback" not in said
    assert any(one.due(PROMISED_SECONDS) for one in killed), "the promise was put to the test"


@pytest.mark.parametrize("extension", ["jsonl.gz", "jsonl.zst"])
def test_compressed_logs(recorder: Callable[..., Any], program: Callable[..., Any], extension: str) -> None:
    """Whole frames are read, and what is lost is at most the last second."""
    killed = all_killed(recorder, [(seed, f"{seed}.{extension}") for seed in range(AT_ONCE)], (1.5, 1.9))
    for one in killed:
        with open_session(one.log) as session:
            records = [record for _, record in session]
        assert_no_hole(records)
        assert one.due(PROMISED_SECONDS_COMPRESSED) <= answered_urls(records)
        done = program("verify", one.log)
        assert done.returncode == 1
        assert "cut off" in done.stdout
        assert "Traceback" not in done.stderr
    assert any(one.due(PROMISED_SECONDS_COMPRESSED) for one in killed), "the promise was put to the test"


@pytest.mark.parametrize("extension", ["jsonl.gz", "jsonl.zst"])
def test_a_compressed_log_grows_when_little_happens(recorder: Callable[..., Any], extension: str) -> None:
    """A frame is closed when it is old, not only when it is full."""
    running = recorder(RULES, out=f"s.{extension}")
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    client.request("GET", "/only")
    client.getresponse().read()
    client.close()
    deadline = time.monotonic() + PROMISED_SECONDS_COMPRESSED + 60
    while not running.log.stat().st_size:
        assert time.monotonic() < deadline, "the frame is never closed"
        time.sleep(0.005)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    with open_session(running.log) as session:
        kinds = [record["type"] for _, record in session]
    assert kinds == ["session-started", "request-initiated", "request", "response"]
