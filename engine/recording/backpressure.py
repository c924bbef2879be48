"""Backpressure: whatever makes records waits while the log cannot keep up with it."""

from __future__ import annotations

from typing import Protocol


class Backpressure(Protocol):
    """A log that can fall behind the traffic."""

    @property
    def behind(self) -> bool:
        """Whether traffic has to wait for the log."""

    async def wait_for_room(self) -> None:
        """Return when the log has caught up."""
