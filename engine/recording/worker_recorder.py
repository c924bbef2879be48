"""The recorder of a worker process, whose records are numbered and written by the parent process.

It differs from `Recorder` in two ways: all its records keep the number 0 (their lines begin with `UNNUMBERED`), and its
sinks get what `pack` makes of records and lines, so that the parent need not parse them. The parent adds the lines to
its own recorder with `Recorder.add_lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mockrec.engine.recording.recorder import Recorder
from mockrec.formats.files.frames import Sink

Pack = Callable[[Sequence[str], Sequence[str], bytes], bytes]
"""Makes the bytes for the parent from the types, ids and lines of records."""


class WorkerRecorder(Recorder):
    """A recorder that neither numbers records nor writes a log."""

    step = 0

    def __init__(self, sinks: Sequence[Sink], *, pack: Pack, **options: Any) -> None:
        """`options` are those of `Recorder`."""
        super().__init__(sinks, **options)
        self._pack = pack

    def _packed(self, kinds: Sequence[str], ids: Sequence[str], lines: bytes) -> bytes:
        return self._pack(kinds, ids, lines)
