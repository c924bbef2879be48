"""The endurance scripts run: short, and with everything that they ask for at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "endurance" / "run.py"


def test_a_smoke_run_of_every_part() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--smoke"], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert said == [
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
        "slow-texts",
    ]
