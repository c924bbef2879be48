"""The real program as a fixture: started with rules, stopped, and its log at hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.audit import Audit
from mockrec.formats.session import open_session

Record = dict[str, Any]

PROGRAM = (sys.executable, "-m", "mockrec.cli")
READY_SECONDS = 20.0
STOP_SECONDS = 20.0


class Session:
    """A recording that has ended."""

    def __init__(self, code: int, stderr: str, path: Path | None) -> None:
        self.code = code
        self.stderr = stderr
        self.path = path
        self.records: list[Record] = []
        if path is not None and path.exists():
            with open_session(path) as opened:
                self.records = [record for _, record in opened]

    def by_type(self, kind: str) -> list[Record]:
        """All records of a type, in file order."""
        return [record for record in self.records if record["type"] == kind]

    def one(self, kind: str) -> Record:
        """The only record of a type."""
        found = self.by_type(kind)
        assert len(found) == 1, f"{len(found)} × {kind} among {[record['type'] for record in self.records]}"
        return found[0]

    def of(self, identity: str) -> list[Record]:
        """All records of an exchange."""
        return [record for record in self.records if record.get("id") == identity]

    def audit(self) -> list[str]:
        """What in the log is not as its guarantees say."""
        assert self.path is not None
        with open_session(self.path) as opened:
            audit = Audit(opened.header, opened.bodies_folder)
            for line in opened.scan():
                assert line.record is not None, line.problem
                audit.check(line.number, line.record)
            audit.finish()
        return audit.findings


class Recorder:
    """`mockrec run`, ready."""

    def __init__(self, process: subprocess.Popen[bytes], ready: Record, stderr: Path, log: Path | None) -> None:
        self.process = process
        self.url: str = ready["url"]
        self.port: int = ready["port"]
        self.pid: int = ready["pid"]
        self.log = log
        self._stderr = stderr

    @property
    def stderr(self) -> str:
        """What has been said so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGINT, *, check: bool = True) -> Session:
        """Stop it and read the log; `check` wants it to keep its guarantees."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(check=check)

    def wait(self, *, check: bool = True) -> Session:
        """Wait for its own end and read the log."""
        code = self.process.wait(STOP_SECONDS)
        session = Session(code, self.stderr, self.log)
        if check and session.records:
            assert session.audit() == []
        return session


Start = Callable[..., Recorder]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Start]:
    """`recorder(rules, *options, out=…, env=…, command=…)`: rules are a text, or the path of a file.

    `out` names the log inside the test's folder, None for no `-o` at all. Whatever is still running at the end is killed.
    """
    running: list[subprocess.Popen[bytes]] = []
    numbers = count()

    def start(
        rules: str | Path,
        *options: str | Path,
        out: str | None = "session.jsonl",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Recorder:
        number = next(numbers)  # tests may start several at once
        if isinstance(rules, str):
            path = tmp_path / (f"rules-{number}.yaml" if number else "rules.yaml")
            path.write_text(rules, encoding="utf-8")
        else:
            path = rules
        ready, errors = tmp_path / f"ready-{number}.json", tmp_path / f"stderr-{number}"
        outputs = () if out is None else ("-o", tmp_path / out)
        argv = [*PROGRAM, "run", path, "--port", "0", "--ready-file", ready, *outputs, *options]
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **(env or {})},
                cwd=cwd or tmp_path,
                process_group=0,  # so that COMMAND can be killed with it
            )
        running.append(process)
        found = _ready(process, ready, errors)
        return Recorder(process, found, errors, None if out is None else tmp_path / out)

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ready(process: subprocess.Popen[bytes], path: Path, errors: Path) -> Record:
    """The file appears atomically; there is no event to wait for."""
    deadline = time.monotonic() + READY_SECONDS
    while not path.exists():
        assert process.poll() is None, errors.read_text(encoding="utf-8", errors="replace")
        assert time.monotonic() < deadline, "mockrec did not get ready"
        time.sleep(0.005)
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


def run_program(*argv: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The program, to its own end."""
    return subprocess.run(
        [*PROGRAM, *argv], cwd=cwd, capture_output=True, text=True, check=False, timeout=60, **options
    )


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`program("verify", "s.jsonl")`: run mockrec in the test's folder, to its own end."""

    def run(*argv: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return run_program(*argv, cwd=tmp_path, **options)

    return run
