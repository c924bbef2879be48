"""Exchanges of a recording of another tool as a session, with bodies as bytes."""

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
"""Problems kept; further ones are only counted."""


@dataclass(slots=True)
class ImportedExchange:
    """One exchange on its way: everything but its bodies in the form of a HAR's entry."""

    entry: Record
    request_body: bytes = b""
    """The request's body, as the recording has it."""
    response_body: bytes = b""
    """The response's."""
    missing: bool = False
    """The recording has no body of the response, though there was one."""
    guessed: list[str] = field(default_factory=list)
    """What was made up for it, a sentence each that is the same for all."""


class ImportedSession(Importer):
    """Takes exchanges in the file's order; `records` gives the lines at the end."""

    def __init__(self, spool: LineSpool) -> None:
        super().__init__(spool, Nowhere())

    def exchange(self, index: int, where: str, found: ImportedExchange) -> None:
        """Make records of an exchange. `ValueError` says why that cannot be."""
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
        # The entry has no bodies because they are put into the records here.
        made.repairs.found = {key: found for key, found in made.repairs.found.items() if key[1] not in MISSING}
        self.repairs.merge(made.repairs)


def _body(message: Mapping[str, Any], data: bytes) -> Record:
    table = mapping(message.get("headers"))
    return body_record(data, text(table.get("content-type")), text(table.get("content-encoding")))
