"""What the tests of the plain install share. Needs the standard library only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "plain"
FORMATS = ("s.jsonl", "s.jsonl.gz", "s.jsonl.zst", "s.har", "s.parquet", "s/")
PATHS = ("/hello", "/orders", "/orders", "/long", "/passed", "/hello", "/echo", "/nowhere")
STATUSES = (200, 201, 201, 200, 200, 200, 101, 503)
"""Of the exchanges that `client.py` makes, in their order."""
LONG = 300_000
"""Bytes of the body of `/long`: more than stays in the log itself."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
