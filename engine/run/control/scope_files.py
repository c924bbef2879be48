"""The files that scopes write: additions to their cassettes, and a session of each with `-o 'DIR/{scope}.jsonl'`.

Nothing is written before a scope closes, and its cassette only if it closes as passed. While it is open, its records
are in a temporary file; what it recorded is therefore not lost when the write fails, and the scope can be closed again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mockrec.engine.errors import ConfigError
from mockrec.engine.message.scope import Scope
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.recording import Recording
from mockrec.engine.recording.session_records import session_ended
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.run.control.settings import ControlSettings
from mockrec.engine.run.control.spool import Spool, Spools
from mockrec.engine.usercode.calls import own_call
from mockrec.formats.files.scope_names import scope_file
from mockrec.formats.schema.errors import OutputError

_MOST_LEFT_OUT: Final = 100
"""Exchanges that are named in an answer because they were not added."""


@dataclass(slots=True)
class Written:
    """What closing a scope has written."""

    added: int = 0
    """Exchanges that were added to cassettes."""
    left_out: list[str] = field(default_factory=list)
    """The exchanges that could not be added, and why, a line each."""


@dataclass(slots=True)
class _Kept:
    """What is kept of an open scope."""

    spool: Spool
    added: dict[str, set[str]] = field(default_factory=dict)
    """The exchanges that are in cassettes already: the scope was closed before, and another of its files failed."""
    is_owed: bool = False
    """Whether a file of the scope could not be written, so that the records may be nowhere else."""


class ScopeFiles:
    """Keeps the records of scopes that write files, and writes these."""

    def __init__(self, settings: ControlSettings, recording: Recording, bodies: Path | None, file_mode: int) -> None:
        """`bodies`: the folder of the bodies of the log."""
        self._settings = settings
        self._recording = recording
        self._bodies = bodies
        self._file_mode = file_mode
        self._spools = Spools()
        self._kept: dict[Scope, _Kept] = {}
        self._finished: set[str] = set()
        """The sessions of scopes that this run has written."""
        self.add = self._spools.add

    def begin(self, scope: Scope, recordings: Sequence[Replays]) -> None:
        """A scope was opened. Raises ConfigError if its file cannot be written."""
        path = self._session_of(scope)
        if path is not None and path not in self._finished and os.path.exists(path) and not self._settings.replaces:
            raise ConfigError(f"{path} is there already; --force replaces the files of scopes")
        if path is None and not any(replays.recorded for replays in recordings):
            return
        try:
            self._kept[scope] = _Kept(self._spools.begin(scope.name, self._recording.parts.header))
        except OSError as error:
            raise ConfigError(f"the records of a scope cannot be kept: {error.strerror or error}") from None

    async def write(self, scope: Scope, recordings: Sequence[Replays], *, passed: bool) -> Written:
        """Write the files of a scope that closes; everything is in the log by now. Raises FormatError."""
        kept = self._kept.get(scope)
        if kept is None:
            return Written()
        reason = "scope passed" if passed else "scope closed"
        redactions = 0 if self._recording.redactor is None else self._recording.redactor.count
        last = session_ended(Ending(reason), Counter(), scope.rules, 0, redactions)
        wanted: dict[str, set[str]] = {}
        if passed:
            for replays in recordings:
                for cassette in replays.recorded:
                    done = kept.added.get(cassette.path, set())
                    wanted.setdefault(cassette.path, set()).update(set(cassette.passed_on) - done)
        is_new = {c.path: c.reading is None for replays in recordings for c in replays.recorded}
        kept.is_owed = True
        written = await own_call(self._write, scope, kept, last, wanted, is_new)
        self.forget(scope)
        return written

    def forget(self, scope: Scope) -> None:
        """A scope has closed: what was kept of it is not needed any more."""
        if self._kept.pop(scope, None) is not None:
            self._spools.end(scope.name)

    @property
    def owed(self) -> list[tuple[str, Path]]:
        """The scopes whose files could not be written, and the files in which their records stay."""
        return [(scope.name, kept.spool.path) for scope, kept in self._kept.items() if kept.is_owed]

    def close(self) -> None:
        """Delete what is kept, but for the records that could not be written anywhere else."""
        self._spools.close({path for _, path in self.owed})
        self._kept.clear()

    def _session_of(self, scope: Scope) -> str | None:
        """The path of a scope's own session; None without `-o 'DIR/{scope}.jsonl'`."""
        template = self._settings.output
        return None if template is None else scope_file(template, scope.name)

    def _write(
        self, scope: Scope, kept: _Kept, last: dict[str, Any], wanted: dict[str, set[str]], is_new: dict[str, bool]
    ) -> Written:
        # Imported here: most runs write no such files, and start sooner without it.
        from mockrec.engine.replay.serve.additions import add_exchanges

        written, spool = Written(), kept.spool
        path = self._session_of(scope)
        wanted = {name: identities for name, identities in wanted.items() if identities}
        if spool.is_empty or (path is None and not wanted):
            return written
        try:
            spool.finish(last)
        except OSError as error:
            raise OutputError(str(spool.path), error.strerror or str(error)) from None
        for name, identities in wanted.items():
            added = add_exchanges(
                name,
                str(spool.path),
                identities,
                file_mode=self._file_mode,
                is_new=is_new[name],
                bodies=self._bodies,
            )
            kept.added.setdefault(name, set()).update(identities)
            written.added += added.count
            written.left_out += added.left_out[: _MOST_LEFT_OUT - len(written.left_out)]
        if path is not None:
            self._write_session(path, spool, last)
        return written

    def _write_session(self, path: str, spool: Spool, last: dict[str, Any]) -> None:
        from mockrec.formats.sessions.append import Addition, add_to_session, write_session
        from mockrec.formats.sessions.session import open_session

        started = self._recording.parts.header

        def lines() -> list[bytes]:
            with open_session(str(spool.path)) as session:
                edges = ("session-started", "session-ended")
                return [line.raw for line in session.scan() if line.record and line.record["type"] not in edges]

        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(path, error.strerror or str(error)) from None
        addition = Addition(lines, started, last, self._bodies)
        if path in self._finished:  # a scope that is opened again continues its file
            add_to_session(path, addition, file_mode=self._file_mode)
        else:
            write_session(path, addition, file_mode=self._file_mode, replaces=self._settings.replaces)
        self._finished.add(path)
