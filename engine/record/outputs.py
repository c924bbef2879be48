"""Opens the outputs of a run: all of them, or none."""

from __future__ import annotations

import errno
import os
from typing import Protocol

from mockrec.formats.errors import OutputBusyError, OutputError
from mockrec.formats.frames import Sink
from mockrec.formats.jsonl import open_sink
from mockrec.formats.locks import held_by, is_held
from mockrec.formats.outfile import exists_already
from mockrec.formats.parquet.places import is_uri


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
    _check_places(settings)
    try:
        for path in settings.outputs:
            is_new = path != "-" and not is_uri(path) and not os.path.exists(path)
            sinks.append(
                open_sink(
                    path,
                    force=settings.force,
                    file_mode=settings.file_mode,
                    output_format=None if path == "-" else settings.output_format,
                    live=True,
                )
            )
            if is_new:
                made.append(path)
    except BaseException:
        for sink in sinks:
            sink.close()
        for path in made:
            if os.path.isfile(path):  # a journal goes with its sink
                os.unlink(path)
        raise
    return sinks


def _check_places(settings: OutputSettings) -> None:
    """Refuse what cannot be written before --force empties anything."""
    seen: set[str] = set()
    for path in settings.outputs:
        if path == "-" or is_uri(path):
            continue
        real = os.path.realpath(path)
        if real in seen:
            raise OutputError(path, "it is given twice")
        seen.add(real)
        folder = os.path.dirname(real)
        if not os.path.isdir(folder):
            raise OutputError(path, os.strerror(errno.ENOENT))
        target = real if os.path.exists(real) else folder
        if not os.access(target, os.W_OK):
            raise OutputError(path, os.strerror(errno.EACCES))
        if os.path.isfile(real):
            if not settings.force:
                raise exists_already(path)
            if is_held(real):
                raise OutputBusyError(path, held_by(real))
