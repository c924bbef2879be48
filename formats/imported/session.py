"""Convert the exchanges of another tool's recording to a session; their bodies are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.har.attached import Nowhere
from mockrec.formats.har.fields import mapping, text
from mockrec.formats.har.imported import Importer
from mockrec.formats.har.imported_entry import ImportedEntry
from mockrec.formats.har.imported_repairs import MISSING, EntryRepairs
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.imported.coding import body_record

Record = dict[str, Any]

MAX_PROBLEMS = 1000
"""Problems that are kept; further ones are dropped."""


@dataclass(slots=True)
class ImportedExchange:
    """One exchange: a HAR's entry without bodies, and the bodies as bytes."""

    entry: Record
    request_body: bytes = b""
    """The request's body, as in the recording."""
    response_body: bytes = b""
    """The response's body."""
    missing: bool = False
    """True if the recording lacks the response's body."""
    guessed: list[str] = field(default_factory=list)
    """Guesses, a sentence each, the same for all exchanges."""


class ImportedSession(Importer):
    """Takes exchanges in the file's order; then `records` yields the lines of the session."""

    def __init__(self, spool: LineSpool) -> None:
        super().__init__(spool, Nowhere())

    def add_exchange(self, index: int, where: str, found: ImportedExchange) -> None:
        """Convert an exchange to records. Raises `ValueError` if it cannot be converted."""
        made = ImportedEntry(index, found.entry, EntryRepairs(where))
        records = made.records()
        for _, record in records:
            if record["type"] in ("request", "websocket-request"):
                record["body"] = _body(record, found.request_body)
            elif record["type"] == "response":
                record["body"] = _body(record, found.response_body)
                if found.missing:
                    record["body"]["truncated"] = True
        self._add(records)
        # The entry lacks bodies because they are put into the records here.
        made.repairs.found = {key: found for key, found in made.repairs.found.items() if key[1] not in MISSING}
        self.repairs.merge(made.repairs)


def _body(message: Mapping[str, Any], data: bytes) -> Record:
    table = mapping(message.get("headers"))
    return body_record(data, text(table.get("content-type")), text(table.get("content-encoding")))
