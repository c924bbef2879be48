"""Where tables and journals lie. Without pyarrow: a recording asks too.

A file `NAME.parquet` has its journal in the folder `NAME.parquet.journal` beside it. A data set has its own in its
folder `journal`; one in an object store has it in the current folder of the machine that records.

Part N of a data set is what segment N of its journal was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mockrec.formats.files.part_names import first_path
from mockrec.formats.schema.errors import OutputError

EVENTS_FOLDER = "events"
EXCHANGES_FOLDER = "exchanges"
JOURNAL_SUFFIX = ".journal"
_URI = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SEGMENT = re.compile(r"segment-(\d{6,})\.jsonl")
_PART = re.compile(r"part-(\d{6,})\.parquet")


def is_uri(path: str) -> bool:
    """Whether a path is one of an object store or other file system of `pyarrow.fs`, for example `s3://…`."""
    return _URI.match(path) is not None


def _without_options(path: str) -> str:
    """A URI may say how its store is reached: `s3://bucket/s.parquet?region=eu-west-1`."""
    return path.partition("?")[0] if is_uri(path) else path


def check_name(path: str) -> None:
    """Raises `OutputError` for a name that is no UTF-8: pyarrow could not read the tables again."""
    try:
        (path if is_uri(path) else str(Path(path).absolute())).encode()
    except UnicodeEncodeError:
        raise OutputError(
            path, "Parquet needs a name in UTF-8, also of the folders above; choose another one"
        ) from None


def is_data_set(path: str) -> bool:
    """Whether an output path means a folder of parts and not one file."""
    return not _without_options(path).lower().endswith(".parquet")


def journal_of(path: str) -> Path:
    """The journal of an output."""
    bare = _without_options(path).rstrip("/")
    if is_uri(path):
        return Path(bare.rsplit("/", 1)[-1] + JOURNAL_SUFFIX)
    return Path(bare, "journal") if is_data_set(path) else Path(bare + JOURNAL_SUFFIX)


def own_journal(session: str, output: str) -> Path | None:
    """The journal that an output is to be made of, when the session is that output itself or the journal."""
    journal = journal_of(output)
    if not is_data_set(output) and not is_uri(output) and Path(output).exists():
        return None
    if session.rstrip("/") not in (output.rstrip("/"), str(journal)):
        return None
    # All segments of a data set may have become parts already.
    there = journal.is_dir() if is_data_set(output) else segments(journal)
    return journal if there else None


def session_name(path: str) -> str:
    """The name a session has without what makes it a journal or a folder: the stem of its `.bodies` folder."""
    bare = path.rstrip("/") or path
    if bare.endswith(JOURNAL_SUFFIX):
        return bare.removesuffix(JOURNAL_SUFFIX)
    # The parts of a session share the bodies of the first.
    first = first_path(bare)
    return first if first != bare and Path(f"{first}.bodies").is_dir() else bare


def segment_name(number: int) -> str:
    """Counted from 1."""
    return f"segment-{number:06}.jsonl"


def part_name(number: int) -> str:
    """The part that holds the records of a segment."""
    return f"part-{number:06}.parquet"


def segment_number(name: str) -> int | None:
    """None for a file that is no segment."""
    found = _SEGMENT.fullmatch(name)
    return int(found[1]) if found else None


def part_number(name: str) -> int | None:
    """None for a file that is no part of ours."""
    found = _PART.fullmatch(name)
    return int(found[1]) if found else None


def segments(journal: Path) -> dict[int, Path]:
    """The segments that are there, by number, in order."""
    return _numbered(journal, segment_number)


def parts(folder: Path) -> dict[int, Path]:
    """The parts of a data set's table that are in a folder, by number, in order."""
    return _numbered(folder, part_number)


def _numbered(folder: Path, number_of: Callable[[str], int | None]) -> dict[int, Path]:
    try:
        found = {number_of(path.name): path for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(sorted((number, path) for number, path in found.items() if number is not None))


def has_segments(path: str) -> bool:
    """Whether a session is in a journal, all of it or a part: such pieces become Parquet while one reads."""
    if is_uri(path):
        return False
    here = Path(path)
    return bool(segments(here) or segments(journal_of(path)) or segments(here / "journal"))


def is_table_place(path: str) -> bool:
    """Whether a path is for us, whatever stands in it: a URI, a folder, or what only a journal is there for."""
    if is_uri(path):
        return True
    here = Path(path)
    return here.is_dir() or (not here.exists() and bool(segments(journal_of(path))))
