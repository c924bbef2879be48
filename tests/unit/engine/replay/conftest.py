"""Recorded requests for tests, as records."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.replay.target import Targets
from mockrec.engine.upstream.options import Options

Record = dict[str, Any]


class Recorded:
    """Makes records of exchanges, one second after another."""

    def __init__(self) -> None:
        self.second = 0
        self.records: list[tuple[int, Record]] = []

    def add(self, kind: str, identity: str, **fields: Any) -> Record:
        record = {
            "type": kind,
            "id": identity,
            "connectionId": "c",
            "timestamp": f"2026-01-01T00:00:{self.second:02d}.000000Z",
            **fields,
        }
        self.second += 1
        self.records.append((len(self.records), record))
        return record

    @staticmethod
    def request(**fields: Any) -> Record:
        """A `request` record."""
        body = fields.pop("body", "")
        return {
            "type": "request",
            "id": "x",
            "method": "GET",
            "url": "http://shop.test/a?b=c",
            "path": "/a?b=c",
            "httpVersion": "1.1",
            "rawHeaders": [["Host", "shop.test"]],
            "body": body if isinstance(body, dict) else {"size": len(body), "text": body},
            **fields,
        }


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def targets() -> Any:
    """`targets({host: server})`."""

    def make(servers: dict[str, tuple[str, str, int]], *, keep_host: bool = False) -> Targets:
        return Targets(servers, Options(UpstreamSettings()), keep_host)

    return make
