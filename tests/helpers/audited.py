"""Sessions that keep the guarantees of the log, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mockrec.formats.analysis.verify import Audit
from mockrec.formats.sessions.session import Session, open_session

Record = dict[str, Any]


def audit(session: Session) -> tuple[list[Record], list[str]]:
    """All records of an open session, and what in it is not as its guarantees say."""
    audit = Audit(session.header, session.bodies_folder)
    records: list[Record] = []
    for line in session.scan():
        assert line.record is not None, line.problem
        audit.check(line.number, line.record)
        records.append(line.record)
    audit.finish()
    return records, audit.findings


def audited(session: Session) -> list[Record]:
    """The records of one in which everything is."""
    records, findings = audit(session)
    assert findings == []
    return records


def read(path: Path) -> list[Record]:
    """The same of a file."""
    with open_session(path) as session:
        return audited(session)
