"""Recorded requests for tests, as records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.replay.send.target import Targets
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.upstream.options import UpstreamOptions

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
        return Targets(servers, UpstreamOptions(UpstreamSettings()), keep_host)

    return make


class Tape:
    """Writes a session of answered requests."""

    def __init__(self, recorded: Any) -> None:
        self.recorded = recorded

    def exchange(self, identity: str, *, end: Any = 200, **fields: Any) -> None:
        record = {**self.recorded.request(**fields), "id": identity}
        kind = record.pop("type")
        self.recorded.add("request-initiated", identity, url=record["url"])
        self.recorded.add(kind, **{"identity": identity, **{k: v for k, v in record.items() if k != "id"}})
        if isinstance(end, int):
            self.recorded.add("response", identity, statusCode=end)
        else:
            self.recorded.add("abort", identity, **end)


@pytest.fixture
def tape(recorded: Any) -> Tape:
    return Tape(recorded)


@pytest.fixture
def cassette(recorded: Any, tmp_path: Path) -> Iterator[Callable[..., Cassette]]:
    made: list[Cassette] = []

    def make(match: MatchOptions | None = None, *, repeat: bool = True) -> Cassette:
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for _, record in recorded.records), encoding="utf-8")
        made.append(Cassette(str(path), match or MatchOptions(), repeat=repeat))
        return made[-1]

    yield make
    for one in made:
        one.close()
