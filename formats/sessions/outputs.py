"""Opens the output of a recording or of a conversion, in the format that its name or an option asks for."""

from __future__ import annotations

import os
from pathlib import Path

from mockrec.formats.files.frames import FrameSink, Sink, gzip_member, zstd_frames
from mockrec.formats.files.jsonl import JsonlSink
from mockrec.formats.files.outfile import STDOUT, OutFile, open_output
from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.errors import FormatError

OUTPUT_FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "har", "parquet")
_EXTENSIONS = {".jsonl": "jsonl", ".gz": "jsonl.gz", ".zst": "jsonl.zst", ".har": "har", ".parquet": "parquet"}


def open_sink(
    path: str | Path,
    *,
    force: bool = False,
    file_mode: int = 0o600,
    output_format: str | None = None,
    live: bool = False,
) -> Sink:
    """Open the output of a recording, or of a conversion. `-` is stdout.

    `live` is True for a recording: the output must be readable at any moment, also after a crash.

    `output_format` is one of `OUTPUT_FORMATS`. Without it the extension decides: `.gz`, `.zst`, `.har`, `.parquet`, or
    a folder for a data set; otherwise plain JSON Lines. Raises `OutputExistsError`, `OutputError`, or `FormatError`
    for a format that cannot be written.
    """
    chosen = output_format or format_of(str(path))
    if chosen not in OUTPUT_FORMATS:
        raise FormatError(
            f"{path}: writing {chosen} is not available in this version, only {', '.join(OUTPUT_FORMATS)}"
        )
    if str(path) == "-":
        if chosen != "jsonl":
            raise FormatError("stdout takes plain JSON Lines only (--format jsonl)")
        return JsonlSink(OutFile(STDOUT, "stdout"))
    if chosen == "har":
        # Imported here, as the modules below: only such outputs need it.
        from mockrec.formats.har.sink import open_har

        return open_har(Path(path), force=force, file_mode=file_mode)
    if chosen == "parquet" and live:
        from mockrec.formats.parquet.journal import open_journal_sink

        return open_journal_sink(str(path), force=force, file_mode=file_mode)
    if chosen == "parquet":
        from mockrec.formats.parquet.sink import open_table_sink

        return open_table_sink(str(path), force=force, file_mode=file_mode)
    if is_uri(str(path)):
        raise FormatError(f"{path}: only Parquet can be written to object stores (NAME.parquet, or a folder)")
    file = open_output(Path(path), force=force, file_mode=file_mode)
    if chosen == "jsonl.gz":
        return FrameSink(file, gzip_member)
    if chosen == "jsonl.zst":
        return FrameSink(file, zstd_frames())
    return JsonlSink(file)


def format_of(path: str) -> str:
    """The output format that belongs to the extension of a path."""
    lower = (path.partition("?")[0] if is_uri(path) else path).lower()
    if lower.endswith("/") or os.path.isdir(path):  # not Path.is_dir, which raises for a name that is too long
        return "parquet"
    other = "parquet" if is_uri(path) else "jsonl"
    return next((chosen for extension, chosen in _EXTENSIONS.items() if lower.endswith(extension)), other)
