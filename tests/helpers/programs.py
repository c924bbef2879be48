"""A mockrec command that runs to its end, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol

from forking import ForkServer, can_fork

PROGRAM = (sys.executable, "-m", "mockrec.cli")
PROGRAM_SECONDS = 180.0


class RunProgram(Protocol):
    """The type of the fixture `program`."""

    def __call__(
        self, *argv: str | Path, env: dict[str, str] | None = ..., **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `mockrec ARGV`; `options` are those of subprocess.run."""


def command_runner(fork_server: ForkServer, folder: Path) -> RunProgram:
    """Return the function that runs a command in `folder`, as a copy of the fork server's process where possible."""

    def run(*argv: str | Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        given = dict(os.environ) if env is None else env
        if options or not can_fork(given):
            return subprocess.run(
                [*PROGRAM, *argv], cwd=folder, capture_output=True, text=True, check=False, timeout=PROGRAM_SECONDS,
                env=given, **options,
            )  # fmt: skip
        with TemporaryFile("w+") as out, TemporaryFile("w+") as errors, open(os.devnull, "rb") as null:
            process = fork_server.start(argv, given, folder, (null.fileno(), out.fileno(), errors.fileno()))
            try:
                code = process.wait(PROGRAM_SECONDS)
            finally:
                process.kill()
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess([*PROGRAM, *argv], code, out.read(), errors.read())

    return run
