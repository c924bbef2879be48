"""Read a HAR as a session: its records as JSON Lines, in order.

Our own files give back exactly the records from which they were written. In other tools' files each entry becomes an
exchange (`imported.py`), ordered by time. A damaged entry is reported and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har.attached import Attached, Nowhere
from mockrec.formats.har.delta import unpack
from mockrec.formats.har.fields import items, mapping, whole
from mockrec.formats.har.imported import Importer
from mockrec.formats.har.sink import FORMAT
from mockrec.formats.har.split import Member, Splitter
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.schema.errors import SessionError

MAX_PROBLEMS = 1000
"""Problems that are kept; further ones are dropped."""


class Har:
    """Yields the lines of the session, once. During that, `problems` grows; afterwards `torn` is set."""

    def __init__(
        self,
        name: str,
        chunks: Iterable[bytes],
        problems: list[str],
        notes: list[str] | None = None,
        attached: Attached | None = None,
    ) -> None:
        """`notes` gets a sentence for each kind of repair. `attached` reads the files that the HAR names as bodies."""
        self.torn = ""
        """A sentence about the entry in which the file ends too early, or ""."""
        self._name = name
        self._notes = [] if notes is None else notes
        self._attached = attached or Nowhere()
        self._entries = 0
        self._skipped = 0
        """Number of the document whose members are left out."""
        self._members = Splitter(name, chunks)
        self._problems = problems
        self._spool = LineSpool()
        self._last_place = 0
        """Place of the previous record, also for records without a place."""
        self._importer: Importer | None = None
        self._ours = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for member in self._members:
                self._take(member)
                if self._ours:
                    yield from self._spool.ready()
            self.torn = self._members.torn
            if self._ours:
                yield from self._spool.rest()
            else:
                imported = self._imported()
                self._notes += imported.repairs.repaired()
                self._problems += imported.repairs.lost()
                yield from imported.records(cut_off=bool(self.torn))
        finally:
            self._spool.close()

    def _take(self, member: Member) -> None:
        if member.document > 1 and (self._ours or member.key == "_mockrecSession"):
            # Records of two recordings have the same numbers; `filter A B` joins them.
            if self._skipped != member.document:
                self._report(f"document {member.document}", "only HARs of other tools may follow one another in a file")
            self._skipped = member.document
        elif member.document == self._skipped:
            pass
        elif member.index is not None:
            self._take_entry(member.index, member)
        elif member.problem:
            self._report(f"log.{member.key}" if member.key else "what follows the HAR", member.problem)
        elif member.key == "_mockrecSession":
            self._begin(mapping(member.value))
        elif member.key == "_mockrec" and self._ours:
            self._put_orphans(items(mapping(member.value).get("events")), "log._mockrec.events")
        elif member.key in ("creator", "pages", "_tlsErrors") and not self._ours:
            self._imported().add_member(member.key, member.value)

    def _begin(self, session: Any) -> None:
        version = session.get("format")
        if type(version) is int and version > FORMAT:
            raise SessionError(
                self._name, f"written by a newer mockrec: HAR format {version}, this one reads up to {FORMAT}"
            )
        self._ours = True
        if isinstance(session.get("started"), dict):
            self._put(0, session["started"], "log._mockrecSession.started")

    def _imported(self) -> Importer:
        if self._importer is None:
            self._importer = Importer(self._spool, self._attached)
        return self._importer

    def _take_entry(self, index: int, member: Member) -> None:
        where = f"entries[{index}]" if member.document == 1 else f"document {member.document}, entries[{index}]"
        self._entries += 1
        if member.problem or not isinstance(member.value, dict):
            self._report(where, member.problem or "it is no object")
            return
        try:
            if self._ours:
                self._take_own_entry(member.value, where)
            else:
                self._imported().add_entry(self._entries - 1, where, member.value)
        except ValueError as error:
            self._report(where, str(error))
        except RecursionError:
            self._report(where, "it is nested too deeply")

    def _take_own_entry(self, entry: dict[str, Any], where: str) -> None:
        ours = mapping(entry.get("_mockrec"))
        if isinstance(ours.get("records"), list):  # provisional: the exchange was open
            self._put_orphans(ours["records"], f"{where}._mockrec.records")
            return
        if not isinstance(ours.get("events"), list):
            raise ValueError("it has no _mockrec.events: another program has added it to this file")
        records = list(unpack(entry, ours["events"]))
        for place, record in records:
            self._put(place, record, where)
        self._put_orphans(items(ours.get("others")), f"{where}._mockrec.others")

    def _put_orphans(self, events: list[Any], where: str) -> None:
        for number, event in enumerate(events):
            moved = isinstance(event, dict) and "record" in event and "at" in event
            record = event["record"] if moved else event
            self._put(event["at"] if moved else mapping(record).get("seq"), record, f"{where}[{number}]")

    def _put(self, place: Any, record: Any, where: str) -> None:
        if not isinstance(record, dict) or not isinstance(record.get("type"), str):
            self._report(where, "it is no record")
            return
        if (number := whole(place)) >= 0:
            self._last_place = number
        self._spool.put(self._last_place, encode_lines([record]))

    def _report(self, where: str, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"{where} is left out: {problem}"[:300])
