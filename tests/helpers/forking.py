"""Start mockrec without its imports: a fork server imports its modules once, and each start is a fork of it.

A start takes nearly half a second of processor time, most of it imports, and the tests start the program more than a
thousand times. A copy gets the arguments, environment, folder and streams that a new process would have, and runs
`python -m mockrec.cli`.

A copy cannot get what Python reads when it starts (PYTHON… in the environment): such programs are started as new
processes. So are all programs if MOCKREC_TESTS_FORK is 0, or if the system has no pidfd.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MESSAGE = 1 << 20
_START_SECONDS = 60.0
_IMPORTED = (
    "mockrec.cli.app", "mockrec.cli.recording", "mockrec.cli.supervise",
    "anyio._backends._asyncio", "encodings.idna", "importlib.metadata", "typer._adapters", "uvloop",
)  # fmt: skip
"""The modules that a start imports; a missing name makes starts slower, and has no other effect."""
_STATEFUL = ("mockrec.engine.clock", "mockrec.engine.ids")
"""Modules that read the clock or a random number when they are imported; each copy imports them again."""


class Forked:
    """A running copy, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"mockrec, process {self.pid}", timeout or 0.0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def _end(self) -> None:
        self.returncode = int(self._status.recv(64))
        self._status.close()

    def send_signal(self, number: int) -> None:
        """Send a signal if the copy still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM if the copy still runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL if the copy still runs."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that forks."""

    def __init__(self, imported: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """`imported`: further modules to import; `env`: its environment (None: ours)."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *imported],
                pass_fds=[theirs.fileno()],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C interrupts pytest, not the fork server
            )

    def start(self, argv: Sequence[str | Path], env: Mapping[str, str], cwd: Path, streams: Sequence[int]) -> Forked:
        """Start `mockrec ARGV` in a new process group, with the descriptors `streams` as stdin, stdout and stderr."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = {"argv": [str(argument) for argument in argv], "env": dict(env), "cwd": str(cwd)}
            socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno(), *streams])
        ours.settimeout(_START_SECONDS)
        return Forked(int(ours.recv(64)), ours)

    def close(self) -> None:
        """End the fork server."""
        self._control.close()
        self._process.wait(_START_SECONDS)


def started(
    server: ForkServer, argv: Sequence[str | Path], env: Mapping[str, str], cwd: Path, stderr: Path
) -> subprocess.Popen[bytes] | Forked:
    """Start `mockrec ARGV` in a new process group, as a copy where possible; stderr goes to a file."""
    with open(os.devnull, "r+b", buffering=0) as null, stderr.open("wb") as said:
        if can_fork(env):
            return server.start(argv, env, cwd, (null.fileno(), null.fileno(), said.fileno()))
        command = [sys.executable, "-m", "mockrec.cli", *argv]
        return subprocess.Popen(command, stdin=null, stdout=null, stderr=said, env=env, cwd=cwd, process_group=0)


def can_fork(env: Mapping[str, str]) -> bool:
    """Return whether a program with this environment can be a copy."""
    python = {name for name in {*env, *os.environ} if name.startswith("PYTHON")}
    same = all(env.get(name) == os.environ.get(name) for name in python)
    return same and hasattr(os, "pidfd_open") and os.environ.get("MOCKREC_TESTS_FORK") != "0"


# ── the fork server ─────────────────────────────────────────────────────────────────────────────


def _import(more: Sequence[str]) -> None:
    for name in (*_IMPORTED, *more):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # memory that is shared with the copies stays shared


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork at each request; return in the copies, with the request. Ends the process when the socket is closed."""
    running: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            if number != control.fileno():
                pid, status = running.pop(number)
                poll.unregister(number)
                os.close(number)
                _report(status, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                status.close()
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE, 4)
            if not message:
                sys.exit()
            status = socket.socket(fileno=descriptors[0])
            pid = os.fork()
            if pid == 0:
                for pidfd, (_, other) in running.items():
                    os.close(pidfd)
                    other.close()
                control.close()
                status.close()
                for stream, descriptor in enumerate(descriptors[1:]):
                    os.dup2(descriptor, stream)
                    os.close(descriptor)
                found: dict[str, Any] = json.loads(message)
                return found
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            _report(status, pid)
            pidfd = os.pidfd_open(pid)
            poll.register(pidfd, select.POLLIN)
            running[pidfd] = pid, status


def _report(status: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the test has already closed its end
        status.send(str(number).encode())


def _run(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """Run `python -m mockrec.cli ARGV` in this process."""
    os.setpgid(0, 0)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for name in _STATEFUL:
        importlib.reload(sys.modules[name])
    sys.path[0] = cwd
    sys.argv = ["mockrec", *argv]
    runpy.run_module("mockrec.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _import(sys.argv[2:])
    _run(**_serve(socket.socket(fileno=int(sys.argv[1]))))
