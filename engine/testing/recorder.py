"""A recorder in a process of its own, which ends with this one."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mockrec.testing.client import ControlClient

_READY_SECONDS = 120.0
_END_SECONDS = 30.0
_LOOK_SECONDS = 0.002
_MAIN = "import sys; from mockrec.cli.__main__ import main; sys.exit(main())"
_COMMAND = """
import json, os, sys
partial = sys.argv[1] + ".partial"
with open(partial, "w") as file:
    json.dump(dict(os.environ), file)
os.replace(partial, sys.argv[1])
sys.stdin.buffer.read()
"""
"""COMMAND of the recorder: it ends, and the recorder with it, when the process that writes to its stdin has ended,
however that happened. Before that it keeps the environment that the recorder has given it."""


class RecorderError(Exception):
    """The recorder could not be started."""


class Recorder:
    """One recorder. Starting it takes no time: the first use of its URL waits until it is ready."""

    def __init__(self, *options: str, rules: Path | None = None, cassettes: Path | None = None) -> None:
        """`options` are those of `mockrec run`; without `rules`, requests that no added rule matches get a 503."""
        self._folder = Path(tempfile.mkdtemp(prefix="mockrec-testing-"))
        self._errors = open(self._folder / "stderr", "w+b")  # noqa: SIM115 - open until stop()
        arguments = [*(() if rules is None else (str(rules),)), "--control", "--ready-file", str(self._ready_file)]
        if cassettes is not None:
            arguments += ["--cassettes", str(cassettes)]
        command = [sys.executable, "-c", _COMMAND, str(self._environment_file)]
        self._process = self._start([*arguments, *options, "--", *command])
        self._owner = os.getpid()
        self._ready: dict[str, Any] | None = None
        self._client: ControlClient | None = None
        self._environment: dict[str, str] | None = None
        atexit.register(self.stop)

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, "run", "--quiet", *arguments],
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the test runner; its end is the recorder's
        )

    @property
    def _ready_file(self) -> Path:
        return self._folder / "ready.json"

    @property
    def _environment_file(self) -> Path:
        return self._folder / "environment.json"

    @property
    def ready(self) -> dict[str, Any]:
        """What the ready file says: `url`, `port`, `ca`, `control`. Waits for it. Raises RecorderError."""
        if self._ready is None:
            self._ready = self._await(self._ready_file)
        return self._ready

    @property
    def url(self) -> str:
        """The URL of the mock server, and of the proxy."""
        return str(self.ready["url"])

    @property
    def ca(self) -> str | None:
        """The path of the certificate that clients have to trust for HTTPS; None if there is none."""
        ca = self.ready["ca"]
        return None if ca is None else str(ca)

    @property
    def client(self) -> ControlClient:
        """The client of its control API."""
        if self._client is None:
            control = self.ready["control"]
            self._client = ControlClient(control["url"], control["token"])
        return self._client

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a program uses this recorder as its proxy and trusts its certificates."""
        if self._environment is None:
            self._environment = self._await(self._environment_file)
        return self._environment

    def _await(self, path: Path) -> dict[str, Any]:
        until = time.monotonic() + _READY_SECONDS
        while not path.exists():
            if self._process.poll() is not None:
                raise RecorderError(f"mockrec has ended with exit code {self._process.returncode}: {self.errors}")
            if time.monotonic() > until:
                raise RecorderError(f"mockrec was not ready after {_READY_SECONDS:.0f} s: {self.errors}")
            time.sleep(_LOOK_SECONDS)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @property
    def errors(self) -> str:
        """What the recorder has written to stderr."""
        self._errors.flush()
        return (self._folder / "stderr").read_text(encoding="utf-8", errors="replace").strip()

    def stop(self) -> int:
        """End the recorder, so that its log is complete. Return its exit code; 0 in a forked process."""
        if os.getpid() != self._owner:
            return 0
        atexit.unregister(self.stop)
        if self._client is not None:
            self._client.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return code
