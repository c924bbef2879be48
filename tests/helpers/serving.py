"""`mockrec replay --serve` as a process, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.audit import Audit
from mockrec.formats.session import open_session


class Serving:
    """`mockrec replay --serve`, ready."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.log = log

    def stop(self) -> tuple[int, str]:
        """Exit code, and what was said."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was recorded, once it has stopped."""
        with open_session(self.log) as session:
            audit = Audit(session.header, session.bodies_folder)
            records = []
            for line in session.scan():
                assert line.record is not None
                audit.check(line.number, line.record)
                records.append(line.record)
            audit.finish()
        assert audit.findings == []
        return records


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """`serve(session, *options)`."""
    running: list[subprocess.Popen[str]] = []

    def start(session: Path | str, *options: str, env: dict[str, str] | None = None) -> Serving:
        ready, log = tmp_path / f"serving-{len(running)}.json", tmp_path / f"served-{len(running)}.jsonl"
        argv = [sys.executable, "-m", "mockrec.cli", "replay", str(session), "--serve", "--port", "0"]
        process = subprocess.Popen(
            [*argv, "--ready-file", str(ready), "-o", str(log), *options],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        running.append(process)
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return Serving(process, json.loads(ready.read_text(encoding="utf-8"))["url"], log)

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
