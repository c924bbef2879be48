"""Finds out whether all of a session is in Parquet files, so that a filter can read it by columns. Without pyarrow."""

from __future__ import annotations

from pathlib import Path

from mockrec.formats.parquet.paths import EVENTS_FOLDER, has_segments, is_uri, part_number


def table_files(path: str) -> list[Path] | None:
    """The files of a session of which every record is in Parquet; None for any other session."""
    if path == "-" or is_uri(path):
        return None
    here = Path(path)
    if here.is_file():
        with here.open("rb") as file:
            return [here] if file.read(4) == b"PAR1" else None
    parts = here / EVENTS_FOLDER
    if not parts.is_dir() or has_segments(path):
        return None
    found = [file for file in parts.rglob("*.parquet") if not file.name.startswith((".", "_"))]
    if any(part_number(file.name) is None or file.parent != parts for file in found):
        return None
    return sorted(found, key=lambda file: part_number(file.name) or 0)
