"""The real program, looked at from outside while it runs, and its log once it has ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

RULES = """version: 1
server: {timeouts: {head: 2s, bodyIdle: 2s, handshake: 2s}}
rules:
  - {when: {path: /hello}, then: {reply: {body: hello}}}
  - {when: {path: /upload}, then: {reply: {body: got}}}
  - {when: {path: /echo}, then: echo}
  - {when: {path: /slow}, then: [{delay: 30s}, {reply: {body: late}}]}
  - {when: {path: /large}, then: {reply: {file: large}}}
"""
LARGE = 4 * 1024 * 1024
READY_SECONDS = 60.0
QUIET_SECONDS = 90.0


class Failed(Exception):
    """Something is not as it has to be."""


def want(holds: bool, what: str) -> None:
    """Raise Failed if it does not hold."""
    if not holds:
        raise Failed(what)


def most_growth(megabytes: float, smoke: bool) -> float:
    """How much memory may grow. In a short run it is caches and pools that fill, which tells nothing of a leak."""
    return megabytes + 60 if smoke else megabytes


class Program:
    """`mockrec run` in a folder. With the context it is killed, if it still runs then."""

    def __init__(self, folder: Path, *options: str, out: str = "s.jsonl", rules: str = RULES, **named: Any) -> None:
        """`named` goes to Popen."""
        self.log = folder / out
        self.rules = folder / "rules.yaml"
        self.rules.write_text(rules, encoding="utf-8")
        with (folder / "large").open("wb") as file:
            file.truncate(LARGE)
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        self._errors = folder / "stderr"
        argv = [sys.executable, "-m", "mockrec.cli", "run", self.rules, "--port", "0", "--ready-file", ready]
        with self._errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*argv, "-o", self.log, *options], stdin=subprocess.DEVNULL, stderr=stderr, cwd=folder, **named
            )
        deadline = time.monotonic() + READY_SECONDS
        while not ready.exists():
            want(self.process.poll() is None and time.monotonic() < deadline, f"it does not start: {self.stderr}")
            time.sleep(0.01)
        self.port: int = json.loads(ready.read_text(encoding="utf-8"))["port"]

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def stderr(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20.0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def get(self, path: str = "/hello") -> bytes:
        """One request on a connection of its own: all of the answer."""
        with self.connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            said = b""
            while data := sock.recv(65536):
                said += data
        return said

    def wait_until(self, holds: Callable[[], bool], what: str, pause: float = 0.05) -> None:
        """Nothing tells when a process has closed its sockets, so it is asked again and again."""
        deadline = time.monotonic() + QUIET_SECONDS
        while not holds():
            want(time.monotonic() < deadline, what)
            time.sleep(pause)

    def stop(self, code: int = 0) -> Counter[str]:
        """End it and check its log: how many records of each type."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        found = self.process.wait(60.0)
        want("Traceback" not in self.stderr and "defect" not in self.stderr, f"it has a defect: {self.stderr[-2000:]}")
        want(found == code, f"it ended with {found}, not {code}: {self.stderr[-2000:]}")
        return verified(self.log) if code == 0 else counted(self.log)


def verify(log: Path) -> subprocess.CompletedProcess[str]:
    """What `mockrec verify` says."""
    command = [sys.executable, "-m", "mockrec.cli", "verify", log]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def verified(log: Path) -> Counter[str]:
    """The records of a log that `mockrec verify` finds nothing wrong with."""
    done = verify(log)
    want(done.returncode == 0, f"verify: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return counted(log)


def counted(log: Path) -> Counter[str]:
    """Types of records; a torn last line is none."""
    types: Counter[str] = Counter()
    with log.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                types[json.loads(line)["type"]] += 1
    return types
