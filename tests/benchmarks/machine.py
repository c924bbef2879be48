"""What the figures depend on: versions, commit, machine. Nothing that names a user, host or folder."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import HERE, Bench

ABSENT = "not installed"


def _first_line(argv: Sequence[str | Path]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ABSENT
    return (done.stdout or done.stderr).strip().split("\n")[0]


def _version(argv: Sequence[str | Path]) -> str:
    """Only the number: programs print builders and addresses beside it."""
    found = re.search(r"\d+\.\d+(\.\d+)?\S*", _first_line(argv))
    return found.group() if found else ABSENT


def _mockttp_version(peers: Path) -> str:
    try:
        text = (peers / "mockttp/node_modules/mockttp/package.json").read_text(encoding="utf-8")
    except OSError:
        return ABSENT
    return str(json.loads(text)["version"])


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def commit() -> str:
    """The commit that was measured, marked when the files differ from it."""
    head = _first_line(["git", "-C", HERE, "rev-parse", "--short=12", "HEAD"])
    if not re.fullmatch(r"[0-9a-f]{12}", head):
        return "unknown"
    return head + ("+changes" if _first_line(["git", "-C", HERE, "status", "--porcelain", "-uno"]) else "")


def describe(bench: Bench) -> dict[str, dict[str, str | int]]:
    """The `machine` and `versions` of the result files."""
    python = bench.mockrec.parent / "python"
    return {
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count() or 0,
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            "mockrec": _version([bench.mockrec, "--version"]),
            "python": _version([python, "--version"]) if python.exists() else platform.python_version(),
            "mockttp": _mockttp_version(bench.peers),
            "node": _version(["node", "--version"]),
            "mitmproxy": _version([bench.peers / "mitmproxy/bin/mitmdump", "--version"]),
            "wrk": _version(["wrk", "-v"]) if shutil.which("wrk") else ABSENT,
        },
    }


def today() -> str:
    return datetime.now(UTC).date().isoformat()
