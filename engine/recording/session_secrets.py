"""What the recorder needs of redaction: the values that are secret wherever they appear."""

from __future__ import annotations

from typing import Protocol


class SessionSecrets(Protocol):
    """What is secret in the whole session: a `Redactor`."""

    @property
    def holds_values(self) -> bool:
        """Whether there is anything to replace."""

    def lines(self, lines: bytes) -> bytes:
        """Return encoded lines with placeholders for secrets."""
