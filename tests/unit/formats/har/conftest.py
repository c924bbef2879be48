"""Entries of other tools: made up, with the members that every tool writes, and the records read from them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from audited import audited

from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session

Record = dict[str, Any]


class Read(NamedTuple):
    """The result of reading a HAR."""

    records: list[Record]
    problems: list[str]
    notes: list[str]

    def one(self, kind: str) -> Record:
        """Return the only record of this type."""
        (found,) = [record for record in self.records if record["type"] == kind]
        return found

    @property
    def odd(self) -> list[str]:
        """The kinds of repairs in the first exchange's tags."""
        return [tag.removeprefix("har-odd:") for tag in self.one("request")["tags"]]


@pytest.fixture
def entry() -> Callable[..., Record]:
    """Make an entry; keywords change its members, or those of its request and response."""

    def make(**changes: Any) -> Record:
        made: Record = {
            "startedDateTime": "2026-11-20T09:15:30.500Z",
            "time": 30,
            "request": {"method": "GET", "url": "http://a.test/x", "httpVersion": "HTTP/1.1", "headers": []},
            "response": {"status": 200, "statusText": "OK", "headers": [], "content": {"size": 2, "text": "ok"}},
            "timings": {"send": 4, "wait": 10, "receive": 10},
        }
        for key, value in changes.items():
            made[key] = {**made[key], **value} if isinstance(value, dict) and key in made else value
        return made

    return make


@pytest.fixture
def read() -> Callable[..., Read]:
    """Read a HAR of these entries, or these bytes."""

    def read_it(*entries: Any, data: bytes | None = None) -> Read:
        if data is None:
            data = json.dumps({"log": {"version": "1.2", "entries": list(entries)}}).encode()
        session = Session(Source("s.har", io.BytesIO(data)))
        return Read(audited(session), session.problems, session.notes)

    return read_it
