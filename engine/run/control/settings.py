"""The settings of the control API."""

from __future__ import annotations

import secrets

import msgspec


def _new_token() -> str:
    return secrets.token_urlsafe(32)


class ControlSettings(msgspec.Struct, frozen=True):
    """Where the control API listens, and what it may use."""

    ports: tuple[int, int] = (0, 0)
    """The first and the last port to try on loopback; 0 for any free one."""
    cassettes: str | None = None
    """The folder that scopes may take their recordings from; None: none."""
    output: str | None = None
    """The path of the session of each scope, with `{scope}` in place of its name; None: scopes have none."""
    replaces: bool = False
    """Whether such a session replaces a file that is there (`--force`)."""
    token: str = msgspec.field(default_factory=_new_token)
    """What every request has to bear. In every log it is redacted."""
