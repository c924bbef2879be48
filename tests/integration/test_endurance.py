"""The endurance scripts run: short, and with everything that they ask for at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "endurance" / "run.py"
LONG = (
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
)


@pytest.mark.parametrize("parts", [LONG, ("slow-texts",), ("slow-program",)], ids=lambda parts: parts[0])
def test_a_smoke_run_of_every_part(parts: tuple[str, ...]) -> None:
    named = [word for part in parts for word in ("--part", part)]
    command = [sys.executable, SCRIPT, "--smoke", *named]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [*parts]


def test_every_part_is_run() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=False, timeout=60)
    parts = done.stdout.partition("{")[2].partition("}")[0].split(",")
    assert {*parts} == {*LONG, "slow-texts", "slow-program"}
