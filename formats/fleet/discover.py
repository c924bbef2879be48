"""Names, folders, prefixes of stores, patterns and lists of names → sessions, each once, in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from mockrec.formats.fleet.listing import Group, groups_of, has_session_name, local_entries, stored_entries
from mockrec.formats.fleet.patterns import Pattern, is_pattern, split_pattern
from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile
from mockrec.formats.parquet.paths import EVENTS_FOLDER, is_table_place, is_uri, segments
from mockrec.formats.parquet.whole_objects import whole_reader
from mockrec.formats.schema.errors import SessionError

_SESSION_STARTS = (b"{", b"PAR1", b"PK", b"\x1f\x8b", b"\x28\xb5")
_LONGEST_NAME = 64 * 1024


def is_many(argument: str) -> bool:
    """Whether an argument may stand for several sessions, or for none. Looks at local files, not at stores."""
    if argument == "-" or not argument:
        return False
    if _list_of(argument) is not None:
        return True
    if is_uri(argument):
        return is_pattern(argument) or not argument.partition("?")[0].lower().endswith(_FILE_ENDINGS)
    if Path(argument).is_dir():
        return not _is_session_folder(Path(argument))
    return is_pattern(argument) and not Path(argument).exists() and not is_table_place(argument)


_FILE_ENDINGS = (".parquet", ".jsonl", ".ndjson", ".gz", ".zst", ".har")


def expand(arguments: Sequence[str]) -> list[str]:
    """Return the sessions that arguments stand for, each once. Raises `SessionError` if one stands for none."""
    found: dict[str, None] = {}
    for argument in arguments:
        for name in _expand(argument, listed=False) if is_many(argument) else (argument,):
            found.setdefault(name)
    return list(found)


def _expand(argument: str, *, listed: bool) -> Iterator[str]:
    if (path := _list_of(argument)) is not None:
        if listed:
            raise SessionError(argument, "a list of sessions cannot name another list")
        for name in _names_in(path):
            yield from _expand(name, listed=True) if is_many(name) else (name,)
        return
    try:
        names = _stored(argument) if is_uri(argument) else _local(argument)
    except OSError as error:
        raise SessionError(argument, error.strerror or str(error).partition("\n")[0]) from None
    except ValueError as error:
        raise SessionError(argument, f"this is no pattern: {error}") from None
    if not names:
        raise SessionError(argument, "there is no session" + (" that it matches" if is_pattern(argument) else " in it"))
    yield from names


def _local(argument: str) -> list[str]:
    folder, pattern = (argument.rstrip("/") or "/", None)
    if is_pattern(argument) and not Path(argument).exists():
        folder, rest = split_pattern(argument)
        pattern = Pattern(rest)
        if not os.path.isdir(folder or "."):
            return []
    chosen = _chosen(groups_of(local_entries(folder)), pattern)
    return [os.path.join(folder, group.path) if folder else group.path for group in chosen]


def _stored(argument: str) -> list[str]:
    from mockrec.formats.parquet.files import file_system

    bare, question, options = argument.partition("?")
    base, pattern = bare, None
    if is_pattern(bare):
        base, rest = split_pattern(bare)
        pattern = Pattern(rest)
    filesystem, inner = file_system(f"{base}{question}{options}")
    inner = inner.rstrip("/")
    groups = groups_of(stored_entries(filesystem, inner))
    read = whole_reader(f"{base}{question}{options}", filesystem)
    base = base.rstrip("/")
    found: list[str] = []
    for group in _chosen(groups, pattern):
        files = tuple(
            StoredFile(filesystem, f"{inner}/{file.path}", file.size, read_whole=read) for file in group.files
        )
        is_tables = all(file.path.endswith(".parquet") for file in files)
        name = f"{base}/{quote(group.path, safe='/=')}{question}{options}"
        found.append(FoundSession(name, files if is_tables and not group.is_journal else ()))
    return found


def _chosen(groups: Iterable[Group], pattern: Pattern | None) -> list[Group]:
    if pattern is None:
        return [group for group in groups if has_session_name(group.path)]
    return [
        group
        for group in groups
        if pattern.matches(group.path.rstrip("/"))
        and (has_session_name(group.path) or (pattern.names_files and pattern.is_exact(group.path)))
    ]


def _is_session_folder(folder: Path) -> bool:
    return (folder / EVENTS_FOLDER).is_dir() or bool(segments(folder)) or bool(segments(folder / "journal"))


def _list_of(argument: str) -> Path | None:
    """Return the file of a list: `@NAME`, or a text file `NAME.txt` that begins with the name of a session."""
    if argument.startswith("@") and Path(argument[1:]).is_file():
        return Path(argument[1:])
    path = Path(argument)
    try:
        if not argument.lower().endswith(".txt") or not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(512).lstrip()
    except (OSError, ValueError):
        return None
    if start.startswith(_SESSION_STARTS):
        return None
    try:
        first = next(_names_in(path), "")
        return path if is_uri(first) or is_pattern(first) or (first and Path(first).exists()) else None
    except (OSError, SessionError, ValueError):
        return None


def _names_in(path: Path) -> Iterator[str]:
    """Yield the lines of a list, without blank ones and comments."""
    with path.open("r", encoding="utf-8", errors="surrogateescape") as file:
        number = 0
        while line := file.readline(_LONGEST_NAME):
            number += 1
            if not line.endswith("\n") and len(line) == _LONGEST_NAME:
                raise SessionError(str(path), "this line is too long for the name of a session", number)
            if (name := line.strip()) and not name.startswith("#"):
                yield name
