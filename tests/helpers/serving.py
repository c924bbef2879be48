"""`mockrec replay --serve` as a process, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audited import read
from forking import Forked, ForkServer, started
from waiting import until_there


class Serving:
    """A running `mockrec replay --serve` that accepts connections."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, stderr: Path, url: str, log: Path) -> None:
        self.process = process
        self._stderr = stderr
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.log = log

    def stop(self) -> tuple[int, str]:
        """Stop the program; return its exit code and stderr."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20), self._stderr.read_text(encoding="utf-8")

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of its log, once it has stopped."""
        return read(self.log)


@pytest.fixture
def serve(fork_server: ForkServer, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """`serve(session, *options)` starts `mockrec replay --serve`; what still runs when the test ends is killed."""
    yield from servings(fork_server, tmp_path)


def servings(fork_server: ForkServer, tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Yield the function that starts `mockrec replay --serve`; kill those that still run when the test ends."""
    running: list[subprocess.Popen[bytes] | Forked] = []

    def start(session: Path | str, *options: str, env: dict[str, str] | None = None) -> Serving:
        number = len(running)
        ready, log, said = (
            tmp_path / name for name in (f"serving-{number}.json", f"served-{number}.jsonl", f"said-{number}")
        )
        argv = ["replay", session, "--serve", "--port", "0", "--ready-file", ready, "-o", log, *options]
        process = started(fork_server, argv, {**os.environ, **(env or {})}, tmp_path, said)
        running.append(process)
        until_there(ready, process, lambda: said.read_text(encoding="utf-8"))
        return Serving(process, said, json.loads(ready.read_text(encoding="utf-8"))["url"], log)

    yield start
    for process in running:
        process.kill()
        process.wait()
