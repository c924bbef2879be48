"""Read a cassette (YAML or JSON) as a session: its interactions in the file's order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from mockrec.formats.har.fields import iso
from mockrec.formats.har.imported_entry import ImportedEntry
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.imported.interaction import exchange_of, moment_of
from mockrec.formats.imported.session import MAX_PROBLEMS, ImportedExchange, ImportedSession
from mockrec.formats.imported.yaml_values import YamlValues, is_null
from mockrec.formats.schema.errors import SessionError

MAX_JSON = 512 * 1024 * 1024
"""Bytes of a cassette in JSON, which is read as a whole (in YAML, one interaction at a time)."""
_MAX_UNDATED = 1000
_MAX_UNDATED_BYTES = 32 * 1024 * 1024
"""Limits of the interactions without a time that wait for the first one with a time."""
_LISTS = frozenset({"interactions", "http_interactions"})
_KNOWN = frozenset({"", "version", "recorded_with", *_LISTS})
_VERSIONS = ("1", "2")
"""VCR.py and go-vcr write version 1; go-vcr 3 and later write version 2."""


class CassetteFile:
    """Yields the lines of the session, once. During that, `problems` grows; afterwards `torn` is set."""

    def __init__(
        self, name: str, chunks: Iterable[bytes], problems: list[str], notes: list[str], *, is_json: bool
    ) -> None:
        """`notes` gets a sentence for each kind of guess and repair."""
        self.torn = ""
        self._name = name
        self._chunks = chunks
        self._problems = problems
        self._notes = notes
        self._guessed: Counter[str] = Counter()
        self._is_json = is_json
        self._spool = LineSpool()
        self._session = ImportedSession(self._spool)
        self._creator = ""
        self._index = 0
        self._latest: float | None = None
        """Time of the previous interaction; None until the first one with a time."""
        self._undated: list[tuple[int, str, ImportedExchange]] = []
        self._undated_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            self._read_json() if self._is_json else self._read_yaml()
            self._add_undated(0.0)
            self._problems += self._session.repairs.lost()
            self._notes += self._session.repairs.repaired()
            self._notes += [f"{what} ({count:,} of {self._index:,})" for what, count in self._guessed.items()]
            self._session.add_member("creator", {"name": self._creator or "VCR cassette"})
            yield from self._session.records(cut_off=bool(self.torn))
        finally:
            self._spool.close()

    def _read_yaml(self) -> None:
        values = YamlValues(self._name, self._chunks)
        for key, line, value in values.parts(_LISTS):
            if key in _LISTS or (key == "" and isinstance(value, dict)):
                self._take(value, f"interactions[{self._index}] (line {line})")
            else:
                self._member(key, value, f"line {line}")
            for problem in values.refused:
                if not (self._problems and self._problems[-1].endswith(problem)):
                    self._report(problem)
            for place, name in values.repeated:
                self._report(f"line {place}: the key {name[:60]} stands twice in one mapping, the last one counts")
            values.refused.clear()
            values.repeated.clear()
        self.torn = values.torn

    def _read_json(self) -> None:
        document = self._parsed()
        if isinstance(document, dict):
            for key, value in document.items():
                if key in _LISTS and isinstance(value, list):
                    for interaction in value:
                        self._take(interaction, f"interactions[{self._index}]")
                else:
                    self._member(key, value, "the cassette")
        elif isinstance(document, list):
            for interaction in document:
                self._take(interaction, f"interactions[{self._index}]")

    def _parsed(self) -> Any:
        raw = bytearray()
        for chunk in self._chunks:
            raw += chunk
            if len(raw) > MAX_JSON:
                raise SessionError(self._name, f"a cassette in JSON of more than {MAX_JSON >> 20} MiB is refused")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            line, problem = error.lineno, f"column {error.colno}: no JSON: {error.msg}"
        try:
            # json, unlike orjson, also reads lone surrogates.
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise SessionError(self._name, problem, line) from None

    def _take(self, interaction: Any, where: str) -> None:
        index = self._index
        self._index += 1
        try:
            found = exchange_of(interaction)
            self._place(index, where, found, moment_of(interaction, found))
        except ValueError as error:
            self._report(f"{where} is left out: {error}")
            return
        if interaction.get("recorded_at") is None:
            self._guessed["guessed: the time is that of the Date field, or follows the exchange before"] += 1
        if not found.entry["time"]:
            self._guessed["missing: how long it took is not in the file, and is 0"] += 1
        self._guessed.update(found.guessed)

    def _place(self, index: int, where: str, found: ImportedExchange, moment: float | None) -> None:
        """Add an exchange at its time, but never before the previous one, because the file's order counts."""
        room = len(self._undated) < _MAX_UNDATED and self._undated_bytes < _MAX_UNDATED_BYTES
        if self._latest is None and moment is None and room:
            self._undated.append((index, where, found))
            self._undated_bytes += len(found.request_body) + len(found.response_body)
            # Raises `ValueError` now, so that the message has the place.
            ImportedEntry(index, {**found.entry, "startedDateTime": iso(0)})
            return
        if self._latest is None:
            self._add_undated(max(0.0, (moment or 0.0) - len(self._undated)))
        self._add(index, where, found, moment or 0.0)

    def _add_undated(self, first: float) -> None:
        """Add the waiting exchanges, a millisecond apart. `first`: time of the first one."""
        for index, where, found in self._undated:
            self._add(index, where, found, first)
        self._undated = []

    def _add(self, index: int, where: str, found: ImportedExchange, moment: float) -> None:
        self._latest = moment if self._latest is None else max(self._latest + 1, moment)
        found.entry["startedDateTime"] = iso(self._latest, digits=6)
        self._session.add_exchange(index, where, found)

    def _member(self, key: str, value: Any, where: str) -> None:
        if key == "recorded_with" and isinstance(value, str):
            self._creator = value[:80]
        elif key == "version" and str(value) not in _VERSIONS:
            raise SessionError(self._name, f"{where}: a cassette of version {value!s:.20}, this mockrec reads 1 and 2")
        elif key in _LISTS and not is_null(value):
            raise SessionError(self._name, f"{where}: {key} is no list")
        elif key not in _KNOWN:
            self._report(f"{where}: {key[:60]} is not kept")

    def _report(self, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS and problem not in self._problems[-20:]:
            self._problems.append(problem[:300])
