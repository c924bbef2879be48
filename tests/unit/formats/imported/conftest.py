"""Recordings of other tools, made up, and what comes of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from audited import audited

from mockrec.formats.schema.body import Body
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session

Record = dict[str, Any]


class Read(NamedTuple):
    """What comes of a file."""

    records: list[Record]
    problems: list[str]
    notes: list[str]
    torn: str

    def all(self, kind: str) -> list[Record]:
        """The records of that type."""
        return [record for record in self.records if record["type"] == kind]

    def one(self, kind: str) -> Record:
        """The record of that type; there is one."""
        (found,) = self.all(kind)
        return found

    def body(self, kind: str) -> bytes:
        """The bytes of the body of the record of that type."""
        return Body.from_record(self.one(kind)["body"]).bytes


@pytest.fixture
def read() -> Callable[[bytes | str], Read]:
    """Reads a file of these bytes; its records keep all that the log guarantees."""

    def read_it(data: bytes | str) -> Read:
        source = Source("old", io.BytesIO(data.encode() if isinstance(data, str) else data))
        session = Session(source)
        return Read(audited(session), session.problems, session.notes, session.torn)

    return read_it
