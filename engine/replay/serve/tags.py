"""Tags of exchanges that recordings answer."""

from __future__ import annotations

from typing import Final

MISSED: Final = "replay-miss"
"""The tag of a request without a matching recording, or whose recording cannot be served."""
EXPIRED: Final = "replay-expired"
"""The tag of a request whose recording is too old."""
