"""The messages between a recorder and its helpers, see `pickle_frames.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class Job(msgspec.Struct, frozen=True):
    """A module-level function for a helper to call.

    If `subject_id` is not None, its first argument is `subject`, or the helper's present subject if `subject` is None.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    subject_id: str | None = None
    subject: Any = None


class Done(msgspec.Struct, frozen=True):
    """What the function has returned, or the `error` that it has raised."""

    result: Any = None
    error: Exception | None = None
