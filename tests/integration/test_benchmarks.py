"""The benchmarks run: short, with what is installed here, and without saying anything about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).parents[1] / "benchmarks" / "run.py"


def test_a_smoke_run_of_every_item(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HARNESS, "--smoke", "--work", tmp_path],
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for item in (
        "P1",
        "P2",
        "P3",
        "P4",
        "P5",
        "P6",
        "P7",
        "P8",
        "R1",
        "S1",
        "S2",
        "M1",
        "M2",
        "M3",
        "F1",
        "F2",
        "F3",
        "F4",
    ):
        assert any(line.startswith(item) for line in done.stdout.splitlines()), item
