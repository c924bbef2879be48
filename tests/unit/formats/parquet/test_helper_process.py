"""The helper process from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.parquet import helper_process
from mockrec.formats.parquet.helper_process import HelperProcess
from mockrec.formats.schema.errors import OutputError

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
READY = "import sys; print('ready', flush=True); sys.stdin.read()"
FAILED = "import sys; print('no room', file=sys.stderr); sys.exit(3)"


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[HelperProcess]:
    made = HelperProcess(str(tmp_path / "s.parquet"), tmp_path / "s.parquet.journal", file_mode=0o600, force=False)
    yield made
    made.stop()


def starting(monkeypatch: pytest.MonkeyPatch, *programs: str) -> list[str]:
    """What is started instead, one after the other; those that are left are returned."""
    left = list(programs)
    real = subprocess.Popen

    def popen(command: Any, **options: Any) -> Any:
        return real([sys.executable, "-c", left.pop(0)], **options)

    monkeypatch.setattr(helper_process.subprocess, "Popen", popen)
    return left


def test_one_that_is_killed_while_it_starts_is_replaced(monkeypatch: pytest.MonkeyPatch, helper: HelperProcess) -> None:
    left = starting(monkeypatch, KILLED, KILLED, READY)
    helper.start()
    assert left == []
    assert helper.pid is not None


def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch, helper: HelperProcess) -> None:
    starting(monkeypatch, *[KILLED] * 3)
    with pytest.raises(OutputError, match="the helper process ended with -9"):
        helper.start()


def test_and_one_that_says_why_is_heard(monkeypatch: pytest.MonkeyPatch, helper: HelperProcess) -> None:
    left = starting(monkeypatch, FAILED, READY)
    with pytest.raises(OutputError, match="no room"):
        helper.start()
    assert left == [READY]
