"""Endurance: `python tests/endurance/run.py [--part NAME]… [--smoke]`: what does not break in a minute.

Each part drives the real program for long, or badly, and then asks: is everything that clients saw in the log, once and
whole (`mockrec verify`, and by count)? Have memory and file descriptors stood still? `--smoke` is the same in seconds.
The results of a full run are in docs/endurance.md.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import connections
import disk
import kills
import load
from program import Failed
from slow_program import slow_program
from slow_texts import AREAS, slow_texts

PARTS = {
    "exchanges": load.exchanges,
    "reload": load.reload,
    "dropped": connections.dropped,
    "idle": connections.idle,
    "full": disk.full,
    "slow": disk.slow,
    "clock": disk.clock_steps,
    "recorders": kills.recorders,
    "workers": kills.workers,
    "helpers": kills.helpers,
    "segments": kills.segments,
    "slow-texts": slow_texts,
    "slow-program": slow_program,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Drive mockrec for long, and badly.")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="may be given several times")
    parser.add_argument("--smoke", action="store_true", help="everything, in seconds")
    parser.add_argument(
        "--hours", type=float, default=1.0, help="how long each of slow-texts and slow-program searches (1)"
    )
    parser.add_argument("--log", type=Path, help="where they write what they find")
    parser.add_argument("--area", action="append", choices=AREAS, help="where they search; may be repeated")
    given = parser.parse_args()
    searching = {"hours": given.hours, "log": given.log, "areas": given.area or ()}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))
    failed = 0
    for name in given.part or PARTS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mockrec-endurance-") as folder:
            try:
                more = searching if name.startswith("slow-") else {}
                said = PARTS[name](Path(folder), smoke=given.smoke, **more)
            except Failed as error:
                failed += 1
                said = f"FAILED: {error}"
        print(f"{name}: {said} ({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
