"""What is left after `kill -9`: everything but the last moments, in whole lines."""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from mockrec.formats.session import open_session

RULES = """
version: 1
rules:
  - {id: a, when: {method: GET}, then: {reply: {body: "answer"}}}
  - {id: b, when: {method: POST}, then: {reply: {status: 201, json: {ok: true}}}}
"""
KILLS = 50
AT_ONCE = 2
PROMISED_SECONDS = 0.05
"""What may be missing; the margin beside it is for machines that are busy with other tests."""
MARGIN_SECONDS = 0.25


class Load(threading.Thread):
    """Asks without pause until the connection breaks; notes when which numbered answer had come completely."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(name=name)
        self._port = port
        self.answered: list[tuple[float, str]] = []

    def run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        number = 0
        try:
            while True:
                number += 1
                path = f"/{self.name}/{number}"
                client.request("POST" if number % 3 == 0 else "GET", path, b"x" * 50 if number % 3 == 0 else None)
                client.getresponse().read()
                self.answered.append((time.monotonic(), path))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            client.close()


def killed_under_load(recorder: Callable[..., Any], out: str, seed: int) -> tuple[Path, list[tuple[float, str]], float]:
    """The log, what clients had been answered and when, and the moment of the kill."""
    running = recorder(RULES, out=out)
    clients = [Load(running.port, f"{seed}-{number}") for number in range(3)]
    for client in clients:
        client.start()
    # The moment is random and nothing waits for it: this is no synchronisation.
    threading.Event().wait(random.Random(seed).uniform(0.01, 0.3))
    at = time.monotonic()
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    for client in clients:
        client.join()
    return running.log, [entry for client in clients for entry in client.answered], at


@pytest.mark.parametrize("half", range(2))
def test_plain_logs(recorder: Callable[..., Any], program: Callable[..., Any], half: int) -> None:
    seeds = range(half * KILLS // 2, (half + 1) * KILLS // 2)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = list(pool.map(lambda seed: killed_under_load(recorder, f"{seed}.jsonl", seed), seeds))
    for log, answered, at in killed:
        *lines, rest = log.read_bytes().split(b"\n")
        records = [orjson.loads(line) for line in lines]
        assert [record["seq"] for record in records] == list(range(len(records)))
        logged = {record["path"] for record in records if record["type"] == "request"}
        assert len(rest) < 10_000, "at most the last line is torn"
        missing = [
            path for when, path in answered if when < at - PROMISED_SECONDS - MARGIN_SECONDS and path not in logged
        ]
        assert missing == []
    said = program("verify", killed[0][0])
    assert said.returncode == 1
    assert "cut off" in said.stdout


@pytest.mark.parametrize("extension", ["jsonl.gz", "jsonl.zst"])
def test_compressed_logs(recorder: Callable[..., Any], program: Callable[..., Any], extension: str) -> None:
    """Whole frames are read, and what is lost is at most the last second."""
    for seed in range(3):
        log, _, _ = killed_under_load(recorder, f"{seed}.{extension}", seed)
        if not log.stat().st_size:
            continue  # killed before the first frame was due
        with open_session(log) as session:
            records = [record for _, record in session]
        assert [record["seq"] for record in records] == list(range(len(records)))
        assert program("verify", log).returncode == 1
