"""A rule, and a whole rule file."""

from __future__ import annotations

import msgspec

from mockrec.engine.config import RecordSettings, ServerSettings, TlsSettings, UpstreamSettings
from mockrec.engine.rules.model.changes import Change, RequestChanges
from mockrec.engine.rules.model.location import SourceLocation
from mockrec.engine.rules.model.steps import Step
from mockrec.engine.rules.model.when import When


class Rule(msgspec.Struct, frozen=True):
    id: str
    when: When
    steps: tuple[Step, ...]
    times: int | str | None
    """A number, `always`, or None where the rule has no `times`."""
    priority: float
    place: SourceLocation
    position: int
    """0-based place in the file."""
    continues: bool = False
    """Whether later rules are evaluated too: this one changes messages, and a later one answers."""

    @property
    def edits_request(self) -> bool:
        """Whether later rules are evaluated for a changed request."""
        return any(isinstance(step, Change) and step.request != RequestChanges() for step in self.steps)


class RuleFile(msgspec.Struct, frozen=True):
    """A whole rule file. `sha256` is of its bytes; relative names in it are relative to `folder`."""

    path: str
    folder: str
    sha256: str
    server: ServerSettings = msgspec.field(default_factory=ServerSettings)
    tls: TlsSettings = msgspec.field(default_factory=TlsSettings)
    record: RecordSettings = msgspec.field(default_factory=RecordSettings)
    upstream: UpstreamSettings = msgspec.field(default_factory=UpstreamSettings)
    unmatched: str = "reject"
    rules: tuple[Rule, ...] = ()
