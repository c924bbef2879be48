"""Opens the outputs of a run: all of them, or none."""

from __future__ import annotations

import errno
import os
from typing import Protocol

import msgspec

from mockrec.formats.files.frames import FrameSink, Sink
from mockrec.formats.files.jsonl import JsonlSink
from mockrec.formats.files.locks import held_by, is_held
from mockrec.formats.files.outfile import exists_already
from mockrec.formats.files.part_names import numbered_parts
from mockrec.formats.files.rotation import FileSink, PartSink
from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.errors import FormatError, OutputBusyError, OutputError, OutputExistsError
from mockrec.formats.sessions.outputs import format_of, open_sink


class OutputSettings(Protocol):
    """The settings of a run that name its outputs."""

    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def output_format(self) -> str | None: ...
    @property
    def force(self) -> bool: ...
    @property
    def file_mode(self) -> int: ...
    @property
    def rotate(self) -> Rotate | None: ...


class Rotate(msgspec.Struct, frozen=True):
    """When a recording continues in a new file: at a size in bytes, or after seconds."""

    most_bytes: int | None = None
    seconds: float | None = None


def open_outputs(settings: OutputSettings) -> list[Sink]:
    """Return the sinks. Raises OutputError or FormatError; files that it has made are removed then."""
    sinks: list[Sink] = []
    made: list[str] = []
    _check_places(settings)
    try:
        for path in settings.outputs:
            is_new = path != "-" and not is_uri(path) and not os.path.exists(path)
            sinks.append(_open(path, settings))
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


def _open(path: str, settings: OutputSettings) -> Sink:
    def open_one(name: str, force: bool) -> Sink:
        return open_sink(
            name,
            force=force,
            file_mode=settings.file_mode,
            output_format=None if path == "-" else settings.output_format,
            live=True,
        )

    rotate = settings.rotate
    if not may_have_parts(path, settings.output_format):
        if rotate is not None:
            raise FormatError(
                f"{path}: only JSON Lines in files (.jsonl, .jsonl.gz, .jsonl.zst) can continue in a new file"
            )
        return open_one(path, settings.force)

    def open_file(name: str, force: bool) -> FileSink:
        sink = open_one(name, force)
        assert isinstance(sink, (JsonlSink, FrameSink))
        return sink

    return PartSink(
        path,
        open_file,
        force=settings.force,
        most_bytes=None if rotate is None else rotate.most_bytes,
        most_ms=None if rotate is None or rotate.seconds is None else rotate.seconds * 1000,
    )


def may_have_parts(path: str, output_format: str | None) -> bool:
    """Return whether an output is JSON Lines in a file, and not stdout, a device or a pipe."""
    if path == "-" or is_uri(path) or (os.path.exists(path) and not os.path.isfile(path)):
        return False
    return (output_format or format_of(path)).startswith("jsonl")


def _clear_parts(path: str, *, force: bool) -> None:
    """Remove the parts of an earlier session, whose names this one needs; without `force` raise OutputExistsError."""
    for part in numbered_parts(path):
        if not force:
            raise OutputExistsError(str(part))
        if is_held(part):
            raise OutputBusyError(str(part), held_by(part))
        part.unlink()


def _check_names(path: str, real: str) -> None:
    """Raise OutputError if a name is too long, also that of the folder of bodies, which is made during the
    recording."""
    for name in (path, f"{real}.bodies"):
        try:
            os.lstat(name)
        except FileNotFoundError:
            pass
        except OSError as error:
            hint = "" if name == path else f" (the folder {os.path.basename(name)[-30:]} may be made next to it)"
            raise OutputError(path, f"{error.strerror or error}{hint}") from None


def _check_places(settings: OutputSettings) -> None:
    """Raise OutputError for outputs that cannot be written, before --force removes any file."""
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
        _check_names(path, real)
        if os.path.isfile(real):
            if not settings.force:
                raise exists_already(path)
            if is_held(real):
                raise OutputBusyError(path, held_by(real))
        if settings.rotate is not None:
            _clear_parts(path, force=settings.force)
