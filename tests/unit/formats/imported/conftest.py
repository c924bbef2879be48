"""Recordings of other tools, made up, and the records read from them."""

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
    """The result of reading a file."""

    records: list[Record]
    problems: list[str]
    notes: list[str]
    torn: str

    def all(self, kind: str) -> list[Record]:
        """Return the records of this type."""
        return [record for record in self.records if record["type"] == kind]

    def one(self, kind: str) -> Record:
        """Return the only record of this type."""
        (found,) = self.all(kind)
        return found

    def body(self, kind: str) -> bytes:
        """Return the bytes of the body of the only record of this type."""
        return Body.from_record(self.one(kind)["body"]).bytes


@pytest.fixture
def read() -> Callable[[bytes | str], Read]:
    """Read a file of these bytes; its records keep all guarantees of the log."""

    def read_it(data: bytes | str) -> Read:
        source = Source("old", io.BytesIO(data.encode() if isinstance(data, str) else data))
        session = Session(source)
        return Read(audited(session), session.problems, session.notes, session.torn)

    return read_it
