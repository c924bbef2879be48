"""Where the secrets of one exchange, or of one body, are remembered."""

from __future__ import annotations

from mockrec.engine.redaction.secret_map import SecretMap


class SecretScope:
    """An exchange, a body, or a part of a record: a secret found anywhere in it is replaced everywhere in it.

    Its `__slots__` are empty, so that an exchange can inherit from it and needs no object of its own for that.
    """

    __slots__ = ()
    known: SecretMap | None
    """The secrets found so far; None if there are none yet."""
    waiting: int
    """Redactions of its records that are queued or under way in the backlog; see `Backlog`."""

    def remember(self, found: SecretMap) -> None:
        """Add the secrets that were found in a record or a piece of it. The first map is kept as the object it is."""
        if found or self.known is None:
            known = found if self.known is None else self.known.joined(found)
            self.known = known  # type: ignore[misc] # subclasses have the slots


class DetachedScope(SecretScope):
    """A scope that is no exchange."""

    __slots__ = ("known", "waiting")

    def __init__(self) -> None:
        self.known: SecretMap | None = None
        self.waiting = 0
