"""How a process that serves is set up: its event loop, and its garbage collection."""

from __future__ import annotations

import gc
import importlib.util
import os


def has_uvloop() -> bool:
    """uvloop where it exists; MOCKREC_LOOP=asyncio asks for the loop of the standard library."""
    if os.environ.get("MOCKREC_LOOP") == "asyncio":
        return False
    return importlib.util.find_spec("uvloop") is not None


def tune_garbage_collection() -> None:
    """What is there at the start stays; and exchanges free themselves, so that collections seldom find anything.

    Nothing is collected first: that takes 50 ms, in which the first client waits, and finds a hundred objects.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
