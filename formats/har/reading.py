"""A HAR as a session: its records as JSON Lines, in their order.

Our own files give back exactly the records that they were made of. Of other tools' files each entry becomes an exchange
(`imported.py`), in the order of time. A damaged entry is told and left out.
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
"""Problems kept; further ones are only counted."""


class Har:
    """Iterate it once; then `torn` is known. `problems` grows meanwhile."""

    def __init__(
        self,
        name: str,
        chunks: Iterable[bytes],
        problems: list[str],
        notes: list[str] | None = None,
        attached: Attached | None = None,
    ) -> None:
        """`notes` grows as `problems` does, with what was repaired; `attached`: where bodies beside the HAR are."""
        self.torn = ""
        """Empty, or a sentence about the entry that is cut off."""
        self._name = name
        self._notes = [] if notes is None else notes
        self._attached = attached or Nowhere()
        self._entries = 0
        self._skipped = 0
        """The document whose members are left out."""
        self._members = Splitter(name, chunks)
        self._problems = problems
        self._spool = LineSpool()
        self._unplaced = 0.0
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
                self._notes += imported.notes.told()
                self._problems += imported.notes.lost()
                yield from imported.records(cut_off=bool(self.torn))
        finally:
            self._spool.close()

    def _take(self, member: Member) -> None:
        if member.document > 1 and (self._ours or member.key == "_mockrecSession"):
            # Records of two recordings have the same numbers; `filter A B` is what joins them.
            if self._skipped != member.document:
                self._tell(f"document {member.document}", "only HARs of other tools may follow one another in a file")
            self._skipped = member.document
        elif member.document == self._skipped:
            pass
        elif member.index is not None:
            self._take_entry(member.index, member)
        elif member.problem:
            self._tell(f"log.{member.key}" if member.key else "what follows the HAR", member.problem)
        elif member.key == "_mockrecSession":
            self._begin(mapping(member.value))
        elif member.key == "_mockrec" and self._ours:
            self._put_orphans(items(mapping(member.value).get("events")), "log._mockrec.events")
        elif member.key in ("creator", "pages", "_tlsErrors") and not self._ours:
            self._imported().log(member.key, member.value)

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
            self._tell(where, member.problem or "it is no object")
            return
        try:
            if self._ours:
                self._own(member.value, where)
            else:
                self._imported().entry(self._entries - 1, where, member.value)
        except ValueError as error:
            self._tell(where, str(error))
        except RecursionError:
            self._tell(where, "it is nested too deeply")

    def _own(self, entry: dict[str, Any], where: str) -> None:
        ours = mapping(entry.get("_mockrec"))
        if isinstance(ours.get("records"), list):  # of an exchange that was open
            self._put_orphans(ours["records"], f"{where}._mockrec.records")
            return
        if not isinstance(ours.get("events"), list):
            raise ValueError("it has no _mockrec.events: somebody else has put it into this file")
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
            self._tell(where, "it is no record")
            return
        known = whole(place)
        self._spool.put(known if known >= 0 else self._unplaced, encode_lines([record]))
        self._unplaced = known if known >= 0 else self._unplaced

    def _tell(self, where: str, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"{where} is left out: {problem}"[:300])
