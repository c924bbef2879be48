"""Where the secrets of one exchange, or of one body, are remembered."""

from __future__ import annotations

from mockrec.engine.redaction.secret_map import SecretMap


class SecretScope:
    """An exchange, or a body on its way to the disk: a secret found anywhere in it is replaced everywhere in it."""

    __slots__ = ("known", "waiting")

    def __init__(self) -> None:
        self.known: SecretMap | None = None
        """The secrets found so far; None if there are none yet."""
        self.waiting = 0
        """Redactions of its records that are queued or under way in the backlog; see `Backlog`."""

    def remember(self, found: SecretMap) -> None:
        """Add the secrets that were found in a record or a piece of it."""
        if found or self.known is None:
            self.known = found if self.known is None else self.known.joined(found)
