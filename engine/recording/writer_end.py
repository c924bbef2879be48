"""The end of a writer, as the event loop waits for it."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from mockrec.engine.recording.writer import Writer
from mockrec.formats.schema.errors import OutputError

LOOK_SECONDS = 0.25
"""How often the loop checks that a writer makes progress."""


async def end_of_writer(
    writer: Writer, call_soon: Callable[[Callable[[], None]], None], hurry: anyio.Event | None, patience: float
) -> OutputError | None:
    """Return when the writer has ended, or takes too long: the reader of a pipe may have stopped reading. Then the
    writer is given up, and the error to report is returned.

    `call_soon` calls in the event loop from the writer's thread. `hurry`, `patience`: see `Recorder.close`.
    """
    done = anyio.Event()
    writer.on_end(lambda: call_soon(done.set))
    progress, since = writer.progress, anyio.current_time()
    while not done.is_set():
        with anyio.move_on_after(LOOK_SECONDS):
            await done.wait()
            return None
        if writer.join(0):
            return None
        now = anyio.current_time()
        if writer.progress != progress:
            progress, since = writer.progress, now
        is_stuck = not writer.closing and now - since > max(patience, LOOK_SECONDS)
        if is_stuck or (hurry is not None and hurry.is_set() and now - since > LOOK_SECONDS):
            return writer.given_up()
    return None
