"""A pager for long output on a terminal: `MOCKREC_PAGER`, `PAGER`, or `less`, which shows a short text at once."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

from mockrec.cli import printing

_LESS = "FRXK"
"""Options of `less`: end if it all fits, pass colours on, leave the text on the screen, end at Ctrl-C."""


@contextlib.contextmanager
def paged(*, wanted: bool = True) -> Iterator[None]:
    """Context in which `printing.data` goes to the pager, if stdout is a terminal. Messages for stderr are held until
    the pager has ended, because it owns the screen."""
    process = _start() if wanted else None
    if process is None:
        yield
        return
    assert process.stdin is not None
    printing.redirect(process.stdin)
    try:
        yield
    except BrokenPipeError:
        pass  # the reader has seen enough
    finally:
        printing.redirect(None, hold=True)
        _end(process, process.stdin)
        printing.release()


def _start() -> subprocess.Popen[str] | None:
    """Start the pager; None if there is no terminal, or no pager."""
    if not (printing.is_terminal(sys.stdout) and printing.is_terminal(sys.stdin)) or os.environ.get("TERM") == "dumb":
        return None
    command = shlex.split(os.environ.get("MOCKREC_PAGER", os.environ.get("PAGER") or "less"))
    if not command or command == ["cat"] or shutil.which(command[0]) is None:
        return None
    env = {"LESS": _LESS, "LESSCHARSET": "utf-8", **os.environ}
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, env=env, encoding="utf-8", errors="backslashreplace", text=True
        )
    except OSError:
        return None


def _end(process: subprocess.Popen[str], stdin: IO[str]) -> None:
    with contextlib.suppress(OSError):
        stdin.close()
    process.wait()
