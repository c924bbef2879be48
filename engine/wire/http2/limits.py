"""Limits on what a peer may repeat (RFC 9113, 10.5): counters that return a violation once a limit is exceeded."""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes

from mockrec.engine.wire.http2.frames import Violation

HEADER_OVERFLOW: Final = "header-overflow"

RESETS: Final = 200
RESETS_A_SECOND: Final = 20
"""How many open streams a client may reset at once, and afterwards per second. More is an attack (CVE-2023-44487)."""
IDLE_FRAMES: Final = 1000
IDLE_FRAMES_A_SECOND: Final = 10
"""How many successive frames may neither begin a message nor carry data (pings, settings, empty data, ...)."""
SETTINGS_AT_ONCE: Final = 32
"""Settings in one frame; h2 stores unknown ones too."""


class PeerLimits:
    """The counters of one connection. Each method returns the violation (RFC 9113, 10.5), or None."""

    def __init__(self, block_limit: int) -> None:
        self.block_limit = block_limit
        """Bytes that a field block may have, before and after its decompression."""
        self.block = 0
        """Bytes of the field block that is being received (RFC 9113, 4.3)."""
        self.now = 0.0
        """When the current bytes were received, in seconds; only differences matter."""
        self._idle = 0
        self._idle_since = 0.0
        self._resets = 0.0
        self._reset_at = 0.0

    def count_frame(self) -> Violation | None:
        """Count a frame."""
        if not self._idle:
            self._idle_since = self.now
        self._idle += 1
        if self._idle > IDLE_FRAMES + IDLE_FRAMES_A_SECOND * (self.now - self._idle_since):
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, f"{self._idle} frames without a message")
        return None

    def progress(self) -> None:
        """A message began, or data was carried, in either direction."""
        self._idle = 0

    def count_block(self, size: int, *, last: bool) -> Violation | None:
        """Count a frame of a field block."""
        self.block += size
        if self.block > self.block_limit:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, "a huge header block", HEADER_OVERFLOW)
        if last:
            self.block = 0
        return None

    def count_reset(self) -> Violation | None:
        """Count a reset of an open stream."""
        self._resets = max(0.0, self._resets - RESETS_A_SECOND * (self.now - self._reset_at)) + 1
        self._reset_at = self.now
        if self._resets > RESETS:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, f"more than {RESETS} streams were reset at once")
        return None

    def count_settings(self, size: int) -> Violation | None:
        """Check a SETTINGS frame with `size` bytes of payload (RFC 9113, 6.5)."""
        if size > 6 * SETTINGS_AT_ONCE:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, "too many settings")
        return None
