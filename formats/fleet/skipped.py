"""Sessions that could not be read, each with the reason: the others are read nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mockrec.formats.schema.errors import SessionError


def _silent(_: SessionError) -> None:
    pass


@dataclass(slots=True)
class Skipped:
    """Collects the errors of sessions. With `allowed` False, the first one is raised."""

    allowed: bool = True
    """Whether a session may be skipped. False if the user has named it: then it is wrong usage."""
    report: Callable[[SessionError], None] = _silent
    """Called with each error."""
    errors: list[SessionError] = field(default_factory=list)

    def add(self, error: SessionError) -> None:
        """Note an error, or raise it."""
        if not self.allowed:
            raise error
        self.errors.append(error)
        self.report(error)
