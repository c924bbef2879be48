"""What one benchmark run is: its settings, and the errors the harness tells apart."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent


class BenchError(Exception):
    """A measurement that must not be reported: a server failed, or its answers were wrong."""


class PeerMissing(Exception):
    """A peer is not installed; the item is reported without it."""


@dataclass(frozen=True)
class Bench:
    """The settings every measure gets. Smoke runs are short, use the built-in loader and prove nothing."""

    mockrec: Path
    peers: Path
    work: Path
    seconds: float = 5.0
    warmup: float = 2.0
    rounds: int = 5
    exchanges: int = 1_000_000
    early: int = 50_000
    idle: int = 2_000
    starts: int = 10
    smoke: bool = False

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for one server's files, removed with its log: a recording can be gigabytes."""
        with TemporaryDirectory(dir=self.work) as folder:
            yield Path(folder)


def find_mockrec(given: str | None) -> Path:
    """The executable to measure: the one that is given, beside this Python, or on PATH."""
    beside = Path(sys.executable).parent / "mockrec"
    found = shutil.which(given or (str(beside) if beside.exists() else "mockrec"))
    if found is None:
        raise BenchError(f"mockrec is not there: {given or 'not beside this Python, not on PATH'}")
    return Path(found).absolute()
