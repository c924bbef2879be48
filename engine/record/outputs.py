"""Opens the outputs of a run: all of them, or none."""

from __future__ import annotations

import os
from typing import Protocol

from mockrec.formats.frames import Sink
from mockrec.formats.jsonl import open_sink


class OutputSettings(Protocol):
    """What of a run's settings says where to write."""

    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def output_format(self) -> str | None: ...
    @property
    def force(self) -> bool: ...
    @property
    def file_mode(self) -> int: ...


def open_outputs(settings: OutputSettings) -> list[Sink]:
    """The sinks. Raises OutputError or FormatError; files that were made by then are removed again."""
    sinks: list[Sink] = []
    made: list[str] = []
    try:
        for path in settings.outputs:
            is_new = path != "-" and not os.path.exists(path)
            sinks.append(
                open_sink(
                    path,
                    force=settings.force,
                    file_mode=settings.file_mode,
                    output_format=None if path == "-" else settings.output_format,
                )
            )
            if is_new:
                made.append(path)
    except BaseException:
        for sink in sinks:
            sink.close()
        for path in made:
            os.unlink(path)
        raise
    return sinks
