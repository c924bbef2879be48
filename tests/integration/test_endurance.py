"""The endurance scripts run: short, and with everything that they ask for at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "endurance" / "run.py"
PARTS = (
    "exchanges",
    "reload",
    "dropped",
    "idle",
    "full",
    "slow",
    "clock",
    "recorders",
    "workers",
    "helpers",
    "segments",
    "slow-texts",
    "slow-program",
)


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("part", PARTS)
def test_a_smoke_run(part: str) -> None:
    done = run("--smoke", "--part", part)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [part]


def test_every_part_has_its_run() -> None:
    assert f"{{{','.join(PARTS)}}}" in "".join(run("--help").stdout.split())
