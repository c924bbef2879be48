"""Read sessions in tests, with a check of the log's guarantees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mockrec.formats.analysis.verify import Audit
from mockrec.formats.sessions.session import Session, open_session

Record = dict[str, Any]


def audit(session: Session) -> tuple[list[Record], list[str]]:
    """Return all records of an open session, and the guarantees of the log that it breaks."""
    audit = Audit(session.header, session.bodies_folder)
    records: list[Record] = []
    for line in session.scan():
        assert line.record is not None, line.problem
        audit.check(line.number, line.record)
        records.append(line.record)
    audit.finish()
    return records, audit.findings


def audited(session: Session) -> list[Record]:
    """Return the records of an open session, which must keep all guarantees."""
    records, findings = audit(session)
    assert findings == []
    return records


def read(path: Path) -> list[Record]:
    """Return the records of a session's file, which must keep all guarantees."""
    with open_session(path) as session:
        return audited(session)
