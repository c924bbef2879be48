"""What a peer may do only so often (RFC 9113, 10.5): counts, and says when it is too much."""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes

from mockrec.engine.wire.http2.frames import Violation

HEADER_OVERFLOW: Final = "header-overflow"

RESETS: Final = 200
RESETS_A_SECOND: Final = 20
"""How many streams that are not over a client may give up at once, and for ever. More is an attack (CVE-2023-44487)."""
IDLE_FRAMES: Final = 1000
IDLE_FRAMES_A_SECOND: Final = 10
"""How many frames in a row may neither begin a message nor carry data (pings, settings, empty data, ...)."""
SETTINGS_AT_ONCE: Final = 32
"""h2 keeps unknown ones too."""


class PeerLimits:
    """The counts of one connection. Each method says what is too much, or nothing."""

    def __init__(self, block_limit: int) -> None:
        self.block_limit = block_limit
        """How large a header block may be, before and after its decompression."""
        self.block = 0
        """Bytes of the header block that is being received."""
        self.now = 0.0
        """The time in seconds of what has just come; only differences matter."""
        self._idle = 0
        self._idle_since = 0.0
        self._resets = 0.0
        self._reset_at = 0.0

    def count_frame(self) -> Violation | None:
        """A frame has come."""
        if not self._idle:
            self._idle_since = self.now
        self._idle += 1
        if self._idle > IDLE_FRAMES + IDLE_FRAMES_A_SECOND * (self.now - self._idle_since):
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, f"{self._idle} frames without a message")
        return None

    def progress(self) -> None:
        """A message has begun, or data was carried, by either side."""
        self._idle = 0

    def count_block(self, size: int, *, last: bool) -> Violation | None:
        """A frame of a header block has come."""
        self.block += size
        if self.block > self.block_limit:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, "a huge header block", HEADER_OVERFLOW)
        if last:
            self.block = 0
        return None

    def count_reset(self) -> Violation | None:
        """The peer has given a stream up that was not over."""
        self._resets = max(0.0, self._resets - RESETS_A_SECOND * (self.now - self._reset_at)) + 1
        self._reset_at = self.now
        if self._resets > RESETS:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, f"more than {RESETS} streams were reset at once")
        return None

    def count_settings(self, size: int) -> Violation | None:
        """Settings have come in a frame with so many bytes of them."""
        if size > 6 * SETTINGS_AT_ONCE:
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, "too many settings")
        return None
