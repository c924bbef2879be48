"""JSON Lines: records → lines, and the sink a recorder writes them to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.body import encode_body
from mockrec.formats.errors import FormatError
from mockrec.formats.frames import FrameSink, Sink, gzip_member, zstd_frames
from mockrec.formats.outfile import STDOUT, OutFile, open_output

OUTPUT_FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst")
_EXTENSIONS = {".gz": "jsonl.gz", ".zst": "jsonl.zst", ".har": "har", ".parquet": "parquet"}

_LINE = orjson.OPT_APPEND_NEWLINE
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 200
"""Below orjson's own limit of 254 levels."""
_MAX_DIGITS = 4000
"""Below Python's own limit for writing an integer in decimal."""


def encode_lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """One line a record. No record is lost: what JSON has no form for is converted, see `_plain`."""
    dumps = orjson.dumps
    try:
        return b"".join([dumps(record, None, _LINE) for record in records])
    except orjson.JSONEncodeError:
        return b"".join([_encode_one(record) for record in records])


def _encode_one(record: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, None, _LINE)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(record, 0), None, _LINE)


def _plain(value: Any, depth: int) -> Any:
    """A value JSON can hold: lone surrogates become U+FFFD, integers beyond 64 bit their digits as text,
    bytes the form of a body, everything else its `str()`."""
    if depth > _MAX_DEPTH:
        return "(nested too deep)"
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else _digits(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return encode_body(bytes(value))
    if isinstance(value, Mapping):
        return {_SURROGATE.sub("\ufffd", str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item, depth + 1) for item in value]
    return _SURROGATE.sub("\ufffd", str(value))


def _digits(value: int) -> str:
    # Python refuses to write very long integers in decimal (it takes quadratic time), never in hex.
    return str(value) if value.bit_length() < _MAX_DIGITS * 3 else hex(value)


class JsonlSink:
    """Appends whole lines to a file, a device or stdout; each batch is handed to the system at once."""

    def __init__(self, file: OutFile) -> None:
        self.name = file.name
        self._file = file

    def write(self, data: bytes) -> None:
        """Append whole lines. After a failure the file ends with its last whole line.

        Raises `OutputError` (disk full, file too large), `OutputClosedError` for a closed pipe; after
        a failure each further call raises it again.
        """
        self._file.write(data, lines=True)

    def sync_point(self, now: float | None = None) -> None:
        """Nothing waits here; see `Sink`."""

    def close(self) -> None:
        """Close the file (not stdout)."""
        self._file.close()


def open_sink(
    path: str | Path, *, force: bool = False, file_mode: int = 0o600, output_format: str | None = None
) -> Sink:
    """Open the output of a recording. `-` is stdout.

    `output_format` is one of `OUTPUT_FORMATS`; without it the extension decides (`.gz`, `.zst`, otherwise
    plain JSON Lines). Raises `OutputExistsError`, `OutputError`, or `FormatError` for a format that
    cannot be written.
    """
    chosen = output_format or _by_extension(str(path))
    if chosen not in OUTPUT_FORMATS:
        raise FormatError(
            f"{path}: writing {chosen} is not available in this version, only {', '.join(OUTPUT_FORMATS)}"
        )
    if str(path) == "-":
        if chosen != "jsonl":
            raise FormatError("stdout takes plain JSON Lines only (--format jsonl)")
        return JsonlSink(OutFile(STDOUT, "stdout"))
    file = open_output(Path(path), force=force, file_mode=file_mode)
    if chosen == "jsonl.gz":
        return FrameSink(file, gzip_member)
    if chosen == "jsonl.zst":
        return FrameSink(file, zstd_frames())
    return JsonlSink(file)


def _by_extension(path: str) -> str:
    lower = path.lower()
    if lower.endswith("/"):
        return "parquet"
    return next((chosen for extension, chosen in _EXTENSIONS.items() if lower.endswith(extension)), "jsonl")
