"""The files below a folder or a prefix of a store, and which of them are one session."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mockrec.formats.files.part_names import first_path
from mockrec.formats.parquet.paths import EVENTS_FOLDER, EXCHANGES_FOLDER, JOURNAL_SUFFIX

EXTENSIONS = (
    *(".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".ndjson.gz", ".ndjson.zst"),
    *(".har", ".har.gz", ".parquet", ".mitm", ".flow", ".flows"),
)
"""Names that a folder's sessions have. Any other file has to be named, by itself or by a pattern such as `*.log`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a folder."""

    path: str
    """Relative to the folder, with `/` between its parts."""
    size: int
    """Bytes."""


@dataclass(slots=True)
class Group:
    """The files of one session."""

    path: str
    """The session's path relative to the folder; of a data set it ends with `/`."""
    files: list[Entry]
    is_journal: bool = False
    """Whether it has records in a journal, because it is being recorded or was cut off."""


def local_entries(folder: str) -> Iterator[Entry]:
    """Yield all files below a folder, without those of hidden folders. Raises `OSError`."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder or ".", onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(names):
            full = os.path.join(place, name)
            try:
                size = os.stat(full).st_size
            except OSError:
                continue  # a link that leads nowhere, or a file that has gone since
            yield Entry(os.path.relpath(full, folder or ".").replace(os.sep, "/"), size)


def stored_entries(filesystem: Any, folder: str) -> Iterator[Entry]:
    """Yield all objects below a prefix of a store. Raises `OSError`."""
    from pyarrow.fs import FileSelector, FileType

    start = f"{folder.rstrip('/')}/"
    found = filesystem.get_file_info(FileSelector(start, recursive=True, allow_not_found=True))
    for info in sorted(found, key=lambda one: one.path):
        if info.type == FileType.File:
            yield Entry(info.path.removeprefix(start), info.size or 0)


def groups_of(entries: Iterable[Entry]) -> list[Group]:
    """Return the sessions that the files are, in the order of their paths.

    Files in `events/`, `exchanges/` and `journal/` are one data set, `NAME.parquet.journal/` is the session
    `NAME.parquet`, and later parts belong to the first (`s.0002.jsonl` to `s.jsonl`).
    """
    groups: dict[str, Group] = {}
    tables: list[tuple[str, Entry]] = []
    for entry in entries:
        folders, _, name = entry.path.rpartition("/")
        above, _, last = folders.rpartition("/")
        if name.startswith((".", "_")) or (".bodies" in entry.path and _is_body(entry.path)):
            continue
        start = f"{above}/" if above else ""
        if last == EVENTS_FOLDER and name.endswith(".parquet"):
            groups.setdefault(start, Group(start, [])).files.append(entry)
        elif last == EXCHANGES_FOLDER and name.endswith(".parquet"):
            tables.append((start, entry))
        elif last == "journal" and name.startswith("segment-"):
            groups.setdefault(start, Group(start, [])).is_journal = True
        elif last.endswith(JOURNAL_SUFFIX) and name.startswith("segment-"):
            path = folders.removesuffix(JOURNAL_SUFFIX)
            groups.setdefault(path, Group(path, [])).is_journal = True
        else:
            groups.setdefault(entry.path, Group(entry.path, [])).files.append(entry)
    for start, entry in tables:
        if start not in groups:  # a file in a folder that only happens to have this name
            groups[entry.path] = Group(entry.path, [entry])
    kept = [group for path, group in groups.items() if (first := first_path(path)) == path or first not in groups]
    return sorted(kept, key=lambda group: group.path)


def _is_body(path: str) -> bool:
    return any(part.endswith(".bodies") for part in path.split("/")[:-1])


def has_session_name(path: str) -> bool:
    """Whether a path is a data set, or is called as a session is."""
    return path.endswith("/") or path == "" or path.lower().endswith(EXTENSIONS)
