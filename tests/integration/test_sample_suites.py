"""The suites in samples/suites run: with pytest, with Node, and in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import RunProgram

SUITES = Path(__file__).parents[2] / "samples" / "suites"


def test_the_pytest_suite(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(SUITES)]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("node", "--test", SUITES / "orders.test.mjs"), "pass 2"),
        (("sh", SUITES / "orders.sh"), "ok: after a reset nothing answers"),
    ],
    ids=["node", "shell"],
)
def test_a_suite_as_command(program: RunProgram, command: tuple[str | Path, ...], told: str) -> None:
    run = program("run", "--control", "--unmatched", "reject", "-o", "none", "--", *command)
    assert run.returncode == 0, run.stdout + run.stderr
    assert told in run.stdout
