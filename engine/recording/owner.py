"""What a record belongs to: an exchange, or nothing that outlives the record."""

from __future__ import annotations

from mockrec.engine.redaction.secret_scope import DetachedScope, SecretScope


class Owner(SecretScope):
    """What a record belongs to. It remembers the secrets found in its records."""

    __slots__ = ()
    tags: tuple[str, ...]
    """The tags of the record."""
    plain_tags: tuple[str, ...]
    """Tags that hold nothing that may be secret: see `EventLog.search_tags`."""
    line_tags: bytes
    """These tags as they are in a line."""

    def note_plain(self, text: bytes) -> None:
        """Its tags of now hold nothing that may be secret; `text`: as they are in a line."""
        self.plain_tags = self.tags  # type: ignore[misc] # subclasses have the slots
        self.line_tags = text  # type: ignore[misc]


class NoExchange(DetachedScope, Owner):
    """The owner of a record that belongs to no exchange."""

    __slots__ = ()
    tags: tuple[str, ...] = ()
    plain_tags: tuple[str, ...] = ()
    line_tags = b"[]"
