"""Bodies kept beside a log, and a process-wide umask that cannot leak into other tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def keep_beside() -> Callable[[Path, bytes], str]:
    """Puts bytes into a bodies folder and gives their name in it."""

    def keep(folder: Path, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        name = f"{digest[:2]}/{digest}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return name

    return keep


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Sets the umask until the end of the test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)
