"""What a record belongs to: an exchange, or nothing that outlives the record."""

from __future__ import annotations

from mockrec.engine.redaction.secret_scope import DetachedScope, SecretScope


class Owner(SecretScope):
    """What a record belongs to. It remembers the secrets found in its records."""

    __slots__ = ()
    tags: tuple[str, ...]
    """The tags of the record."""


class NoExchange(DetachedScope, Owner):
    """The owner of a record that belongs to no exchange."""

    __slots__ = ()
    tags: tuple[str, ...] = ()
