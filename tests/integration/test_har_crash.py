"""`kill -9` while a HAR is recorded: always a whole file, and nothing older than a quarter of a second is missing.

`MOCKREC_KILLS=50` kills more often than the default, which is for every day.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from progress import Moment, let_run
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from mockrec.formats.sessions.session import open_session

KILLS = int(os.environ.get("MOCKREC_KILLS", "8"))
PROMISED_SECONDS = 0.25
MARGIN_SECONDS = 0.25
RUN_SECONDS = 0.15
"""What the recorder needs of a processor for what is promised; on a busy machine that takes it longer."""
RULES = """
version: 1
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: slow, when: {path: /slow}, then: [{delay: 60s}, {reply: {body: late}}]}
  - {id: large, when: {method: POST}, then: {reply: {body: "%s"}}}
  - {id: rest, then: {reply: {body: answer}}}
""" % ("y" * 20_000)


class Client(threading.Thread):
    """Says something without pause until the connection breaks; notes what was answered when."""

    def __init__(self, port: int, pid: int, name: str, speak: Callable[[Client], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self._pid = pid
        self.answered: list[tuple[Moment, str]] = []
        self._speak = speak

    def run(self) -> None:
        try:
            self._speak(self)
        except (OSError, http.client.HTTPException, WebSocketException, EOFError):
            pass

    def note(self, what: str) -> None:
        self.answered.append((Moment.of(self._pid), what))


def ask(client: Client) -> None:
    """Requests, some of them large."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    number = 0
    try:
        while True:
            number += 1
            path = f"/{client.name}/{number}"
            connection.request("POST" if number % 7 == 0 else "GET", path, b"x" * 5000 if number % 7 == 0 else None)
            connection.getresponse().read()
            client.note(path)
    finally:
        connection.close()


def chat(client: Client) -> None:
    """One WebSocket that is open all the time."""
    with connect(f"ws://127.0.0.1:{client.port}/echo", proxy=None) as socket:
        number = 0
        while True:
            number += 1
            text = f"{client.name}/{number}"
            socket.send(text)
            socket.recv()
            client.note(text)


def wait(client: Client) -> None:
    """A request that is never answered."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    try:
        connection.request("GET", "/slow")
        connection.getresponse()
    finally:
        connection.close()


def known(records: list[dict[str, Any]]) -> set[str]:
    """Everything that was answered, as the log has it."""
    paths = {"/" + record["url"].split("/", 3)[3] for record in records if record["type"] == "response"}
    texts = {record["content"]["text"] for record in records if record["type"] == "websocket-message-sent"}
    return paths | texts


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_killed_recording(
    recorder: Callable[..., Any], program: Callable[..., Any], har_problems: Callable[[Any], list[str]]
) -> None:
    tested = 0
    for seed in range(KILLS):
        chance = random.Random(seed)
        run = recorder(RULES, out=f"{seed}.har")
        clients = [Client(run.port, run.pid, f"ask-{seed}-{number}", ask) for number in range(2)]
        clients += [Client(run.port, run.pid, f"chat-{seed}", chat), Client(run.port, run.pid, f"wait-{seed}", wait)]
        for client in clients:
            client.start()
        # The moment is random and nothing waits for it: this is no synchronisation.
        seconds = chance.uniform(0.05, 0.5) if seed % 2 else chance.uniform(0.6, 1.5)
        let_run(run.pid, seconds, min(seconds / 4, 2 * RUN_SECONDS))
        at = Moment.of(run.pid)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        for client in clients:
            client.join(60)
        har = json.loads(run.log.read_bytes())
        assert seed % 4 or har_problems(har) == []
        with open_session(run.log) as session:
            records = [record for _, record in session]
            assert session.problems == []
            assert session.cut_off == "it has no session-ended record at its end"
        wall = PROMISED_SECONDS + MARGIN_SECONDS
        answered = {what: when for client in clients for when, what in client.answered}
        due = {what for what, when in answered.items() if when.is_before(at, wall, RUN_SECONDS)}
        missing = {what: (at.wall - answered[what].wall, at.processor - answered[what].processor)
                   for what in due - known(records)}  # fmt: skip
        assert missing == {}, "each with the seconds before the kill, and those that the recorder has run in them"
        assert [record["seq"] for record in records] == list(range(len(records))), "no hole"
        tested += bool(due)
        if not seed:
            check_commands(run.log, program)
    assert tested, "the promise was put to the test"


def check_commands(log: Path, program: Callable[..., Any]) -> None:
    """It is a session like any other that was cut off."""
    shown = program("show", log)
    assert (shown.returncode, "Traceback" in shown.stderr) == (0, False)
    verified = program("verify", log, "--repair", log.with_name(f"{log.stem}-repaired.har"))
    assert verified.returncode == 1
    assert "cut off" in verified.stdout
    repaired = program("verify", log.with_name(f"{log.stem}-repaired.har"))
    assert repaired.returncode == 0, repaired.stdout
