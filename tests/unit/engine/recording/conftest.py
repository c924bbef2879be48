"""Sinks that can be slow or broken."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest

from mockrec.formats.schema.errors import FormatError


class MemorySink:
    """Keeps what it gets; `hold` stops the thread that writes until `release`."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.batches: list[bytes] = []
        self.closed = 0
        self.synced = 0
        self.fails: FormatError | None = None
        self.fails_to_close: FormatError | None = None
        self.thread = ""
        self._may_write = threading.Event()
        self._may_write.set()

    def hold(self) -> None:
        self._may_write.clear()

    def release(self) -> None:
        self._may_write.set()

    def write(self, data: bytes) -> None:
        assert self._may_write.wait(20)
        self.thread = threading.current_thread().name
        if self.fails is not None:
            raise self.fails
        self.batches.append(data)

    def sync_point(self, now: float | None = None) -> None:
        self.synced += 1

    def close(self) -> None:
        self.closed += 1
        if self.fails_to_close is not None:
            raise self.fails_to_close

    @property
    def data(self) -> bytes:
        return b"".join(self.batches)

    @property
    def records(self) -> list[dict[str, Any]]:
        assert not self.data or self.data.endswith(b"\n")
        return [orjson.loads(line) for line in self.data.splitlines()]

    @property
    def types(self) -> list[str]:
        return [record["type"] for record in self.records]


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def other_sink() -> MemorySink:
    return MemorySink("other")
