"""`mockrec run` as a process for tests, and the session that it records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from audited import audit
from forking import Forked, ForkServer, started
from waiting import until_there

from mockrec.formats.body import Body
from mockrec.formats.session import open_session
from mockrec.testing.client import ControlClient

Record = dict[str, Any]

STOP_SECONDS = 60.0


class Session:
    """A finished recording."""

    def __init__(self, code: int, stderr: str, path: Path | None) -> None:
        self.code = code
        self.stderr = stderr
        self.path = path
        self.records: list[Record] = []
        if path is not None and path.exists():
            with open_session(path) as opened:
                self.records = [record for _, record in opened]

    def by_type(self, kind: str) -> list[Record]:
        """Return all records of a type, in file order."""
        return [record for record in self.records if record["type"] == kind]

    def one(self, kind: str) -> Record:
        """Return the only record of a type."""
        found = self.by_type(kind)
        assert len(found) == 1, f"{len(found)} × {kind} among {[record['type'] for record in self.records]}"
        return found[0]

    def content(self, body: Record) -> bytes:
        """Return the bytes of a body, from the log or from the body's own file."""
        return Body.from_record(body, Path(f"{self.path}.bodies")).bytes

    def of(self, identity: str) -> list[Record]:
        """Return all records of an exchange."""
        return [record for record in self.records if record.get("id") == identity]

    def told(self, rule: str | None = None) -> list[tuple[str, Record]]:
        """Return type and data of each rule-event, or of those of one rule."""
        found = [record for record in self.by_type("rule-event") if rule in (None, record["ruleId"])]
        return [(record["eventType"], record["eventData"]) for record in found]

    def audit(self) -> list[str]:
        """Return the guarantees of the log that this session breaks."""
        assert self.path is not None
        with open_session(self.path) as opened:
            return audit(opened)[1]


class Recorder:
    """A running `mockrec run` that accepts connections."""

    def __init__(
        self, process: subprocess.Popen[bytes] | Forked, ready: Record, stderr: Path, log: Path | None
    ) -> None:
        self.process = process
        self.url: str = ready["url"]
        self.port: int = ready["port"]
        self.pid: int = ready["pid"]
        self.log = log
        self.ready = ready
        self._control: ControlClient | None = None
        self._stderr = stderr

    @property
    def control(self) -> ControlClient:
        """The client of the control API."""
        if self._control is None:
            self._control = ControlClient(self.ready["control"]["url"], self.ready["control"]["token"])
        return self._control

    @property
    def stderr(self) -> str:
        """The program's stderr up to now."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    @property
    def descriptors(self) -> int:
        """The number of the program's open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def hang_up(self) -> None:
        """Close the connection to the control API."""
        if self._control is not None:
            self._control.close()

    def stop(self, number: int = signal.SIGINT, *, check: bool = True) -> Session:
        """Stop the program and read the log; with `check`, the log must keep its guarantees."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(check=check)

    def wait(self, *, check: bool = True) -> Session:
        """Wait until the program ends on its own, and read the log."""
        self.hang_up()
        code = self.process.wait(STOP_SECONDS)
        session = Session(code, self.stderr, self.log)
        if check and session.records:
            assert session.audit() == []
        return session


class StartRecorder(Protocol):
    """The type of the fixture `recorder`."""

    def __call__(
        self,
        rules: str | Path | None,
        *options: str | Path,
        out: str | None = ...,
        env: dict[str, str] | None = ...,
        cwd: Path | None = ...,
    ) -> Recorder:
        """Start `mockrec run`. `rules` is YAML text, the path of a file, or None.

        `out` is the log's name in the test's folder; None means no `-o`.
        """


def recorders(fork_server: ForkServer, folder: Path) -> Iterator[StartRecorder]:
    """Yield the function that starts recorders; kill those that still run when the test ends."""
    running: list[subprocess.Popen[bytes] | Forked] = []
    made: list[Recorder] = []
    numbers = count()

    def start(
        rules: str | Path | None,
        *options: str | Path,
        out: str | None = "session.jsonl",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Recorder:
        number = next(numbers)  # a test may start several at once
        path = rules
        if isinstance(path, str):
            text, path = path, folder / (f"rules-{number}.yaml" if number else "rules.yaml")
            path.write_text(text, encoding="utf-8")
        ready, errors = folder / f"ready-{number}.json", folder / f"stderr-{number}"
        outputs = () if out is None else ("-o", folder / out)
        rule_files = () if path is None else (path,)
        argv = ["run", *rule_files, "--port", "0", "--ready-file", ready, *outputs, *options]
        # In its own process group, so that COMMAND is killed with it.
        process = started(fork_server, argv, {**os.environ, **(env or {})}, cwd or folder, errors)
        running.append(process)
        # The ready file appears atomically; no other event shows that the program is ready.
        until_there(ready, process, lambda: errors.read_text(encoding="utf-8", errors="replace"))
        found: Record = json.loads(ready.read_text(encoding="utf-8"))
        made.append(Recorder(process, found, errors, None if out is None else folder / out))
        return made[-1]

    yield start
    for one in made:
        one.hang_up()
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
