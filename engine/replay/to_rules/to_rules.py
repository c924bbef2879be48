"""`replay --to-rules`: convert a session to a readable, editable rule file that answers the same requests."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockrec.engine.replay.serve.cassette import Cassette, RecordedExchange
from mockrec.engine.replay.serve.step import Unservable
from mockrec.engine.replay.session.editable import MARK
from mockrec.engine.replay.session.fingerprint import MatchKey, MatchOptions, key_of
from mockrec.engine.replay.to_rules.headers import header_conditions
from mockrec.engine.replay.to_rules.then import then_of
from mockrec.engine.replay.to_rules.when import weight, when_of
from mockrec.engine.replay.to_rules.yaml_text import yaml_lines
from mockrec.formats.schema.errors import OutputError, OutputExistsError
from mockrec.formats.sessions.session import Reading

_EXTENSIONS = {"json": "json", "html": "html", "css": "css", "javascript": "js", "xml": "xml", "png": "png",
               "jpeg": "jpg", "gif": "gif", "svg": "svg", "pdf": "pdf", "text/plain": "txt"}  # fmt: skip


@dataclass(slots=True)
class Written:
    """The result of the conversion."""

    rules: int = 0
    files: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Recordings that no rule can reproduce, and why → how many."""
    reading: Reading | None = None
    """Statistics of reading the session."""
    marked: int = 0
    """Number of rules whose responses hold redaction marks."""


@dataclass(slots=True)
class _Group:
    """The recordings with the same `when`, in session order."""

    when: dict[str, Any]
    place: int
    """The position of the first request with the same method and path."""
    answers: list[tuple[RecordedExchange, Any]] = field(default_factory=list)


def write_rules(session: str, path: Path, *, force: bool, file_mode: int) -> Written:
    """Write the rule file, and large bodies into `NAME.files` next to it. Raises SessionError, OutputError."""
    return _Writing(session, path, force=force, file_mode=file_mode).write()


class _Writing:
    def __init__(self, session: str, path: Path, *, force: bool, file_mode: int) -> None:
        self._session = session
        self._path = path
        self._folder = path.with_name(f"{path.stem}.files")
        self._force = force
        self._mode = file_mode
        self._written = Written()
        self._files: dict[bytes, str] = {}
        self._name = ""
        self._names: Counter[str] = Counter()

    def write(self) -> Written:
        if self._path.exists() and not self._force:
            raise OutputExistsError(str(self._path))
        cassette = Cassette(self._session, MatchOptions())
        try:
            self._written.reading = cassette.reading
            groups = self._groups(cassette)
        finally:
            cassette.close()
        rules = [self._rule(group.when, one, then) for group in groups for one, then in group.answers]
        self._written.rules = len(rules)
        lines = [f"# Made by mockrec from {os.path.basename(self._session)!r}.", "version: 1"]
        lines += ["rules:", *yaml_lines(rules, 2)] if rules else ["rules: []"]
        self._save(self._path, ("\n".join(lines) + "\n").encode())
        return self._written

    def _groups(self, cassette: Cassette) -> list[_Group]:
        """Group the recordings by request; for one method and path, the more specific rules come first."""
        recorded = [(recording, cassette.read(recording.facts)) for recording in cassette.recordings if recording.facts]
        with_query = {facts["path"] for _, facts in recorded if facts["query"]}
        without = {facts["path"] for _, facts in recorded if not facts["query"]}
        hosts: dict[bytes, set[str]] = {}
        for recording, facts in recorded:
            hosts.setdefault(key_of(facts), set()).add(recording.host)
        found: dict[str, _Group] = {}
        order: dict[tuple[str, Any], int] = {}
        for recording, facts in recorded:
            # The host is matched only if equal requests were sent to several hosts.
            host = recording.host if len(hosts[key_of(facts)]) > 1 else None
            when = when_of(facts, host, queries=facts["path"] in with_query & without)
            self._name = _name(facts)
            try:
                then = then_of(cassette, recording, facts["method"], self._save_body)
            except Unservable as problem:
                self._written.left_out[f"{recording.name}: {problem}"] += 1
                continue
            place = order.setdefault((facts["method"], facts["path"]), len(order))
            found.setdefault(repr(when), _Group(when, place)).answers.append((recording, then))
        groups = [group for one in found.values() for group in _by_headers(one)]
        for group in groups:
            # The last rule of a sequence is repeated, so equal rules at its end are redundant.
            while len(group.answers) > 1 and group.answers[-1][1] == group.answers[-2][1]:
                group.answers.pop()
        return sorted(groups, key=lambda group: (group.place, -weight(group.when)))

    def _rule(self, when: dict[str, Any], recording: RecordedExchange, then: Any) -> dict[str, Any]:
        name = re.sub(r"[^a-z0-9]+", "-", recording.name.partition("?")[0].lower()).strip("-") or "rule"
        self._names[name] += 1
        number = self._names[name]
        if MARK.search(repr(then)):
            self._written.marked += 1
        return {"id": name if number == 1 else f"{name}-{number}", "when": when, "then": then}

    def _save_body(self, data: bytes, kind: str) -> str:
        name = self._files.get(data)
        if name is None:
            extension = next((one for word, one in _EXTENSIONS.items() if word in kind.lower()), "bin")
            name = f"{self._folder.name}/{len(self._files) + 1:03d}-{self._name}.{extension}"
            self._files[data] = name
            try:
                self._folder.mkdir(mode=0o700 if self._mode == 0o600 else 0o777, exist_ok=True)
            except OSError as error:
                raise OutputError(str(self._folder), error.strerror or str(error)) from None
            self._save(self._path.parent / name, data)
            self._written.files += 1
        return name

    def _save(self, path: Path, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if self._force else os.O_EXCL)
        try:
            with os.fdopen(os.open(path, flags, self._mode), "wb") as file:
                file.write(data)
        except FileExistsError:
            raise OutputExistsError(str(path)) from None
        except OSError as error:
            raise OutputError(str(path), error.strerror or str(error)) from None


def _by_headers(group: _Group) -> list[_Group]:
    """Split a group into one for each set of header fields that its recordings require."""
    conditions = header_conditions([recording.variant for recording, _ in group.answers])
    found: dict[str, _Group] = {}
    for headers, answer in zip(conditions, group.answers, strict=True):
        when = {**group.when, "headers": headers} if headers else group.when
        found.setdefault(repr(headers), _Group(when, group.place)).answers.append(answer)
    return [*found.values()]


def _name(facts: MatchKey) -> str:
    """Return the name part for files with the request's bodies, for example `get-goods`."""
    return re.sub(r"[^a-z0-9]+", "-", f"{facts['method']} {facts['path']}".lower()).strip("-")[:40]
