"""Constants of the tests of the plain install. Needs the standard library only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "plain"
FORMATS = ("s.jsonl", "s.jsonl.gz", "s.jsonl.zst", "s.har", "s.parquet", "s/")
PATHS = ("/hello", "/orders", "/orders", "/long", "/passed", "/hello", "/echo", "/nowhere")
STATUSES = (200, 201, 201, 200, 200, 200, 101, 503)
"""The statuses of the exchanges that `client.py` makes, in order."""
LONG = 300_000
"""Size of the body of `/long` in bytes: too large to be stored in the log itself."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
