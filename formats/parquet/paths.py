"""The paths of tables and journals. Without pyarrow, because a recording imports this.

The journal of a file `NAME.parquet` is the folder `NAME.parquet.journal` next to it. The journal of a data set is its
folder `journal`; that of a data set in an object store is in the current folder of the recorder.

Part N of a data set holds the records of segment N of its journal.
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
    """Whether a path is a URI of an object store or another file system of `pyarrow.fs`, for example `s3://…`."""
    return _URI.match(path) is not None


def _without_options(path: str) -> str:
    """A path without the options of its store, which a URI may have: `s3://bucket/s.parquet?region=eu-west-1`."""
    return path.partition("?")[0] if is_uri(path) else path


def check_name(path: str) -> None:
    """Raise `OutputError` for a name that is not UTF-8: pyarrow could not read the tables again."""
    try:
        (path if is_uri(path) else str(Path(path).absolute())).encode()
    except UnicodeEncodeError:
        raise OutputError(
            path, "Parquet needs a name in UTF-8, also of the folders above; choose another one"
        ) from None


def is_data_set(path: str) -> bool:
    """Whether an output path means a data set (a folder of parts) and not one file."""
    return not _without_options(path).lower().endswith(".parquet")


def journal_of(path: str) -> Path:
    """The journal of an output."""
    bare = _without_options(path).rstrip("/")
    if is_uri(path):
        return Path(bare.rsplit("/", 1)[-1] + JOURNAL_SUFFIX)
    return Path(bare, "journal") if is_data_set(path) else Path(bare + JOURNAL_SUFFIX)


def own_journal(session: str, output: str) -> Path | None:
    """The journal from which an output is finished, if `session` is that output itself or its journal; else None."""
    journal = journal_of(output)
    if not is_data_set(output) and not is_uri(output) and Path(output).exists():
        return None
    if session.rstrip("/") not in (output.rstrip("/"), str(journal)):
        return None
    # In a data set, all segments may have become parts.
    exists = journal.is_dir() if is_data_set(output) else segments(journal)
    return journal if exists else None


def session_name(path: str) -> str:
    """The path of a session without `.journal`, a final slash and a part number; its bodies are in `NAME.bodies`."""
    bare = path.rstrip("/") or path
    if bare.endswith(JOURNAL_SUFFIX):
        return bare.removesuffix(JOURNAL_SUFFIX)
    # The parts of a session share the bodies of the first.
    first = first_path(bare)
    return first if first != bare and Path(f"{first}.bodies").is_dir() else bare


def segment_name(number: int) -> str:
    """The file name of segment `number`, counted from 1."""
    return f"segment-{number:06}.jsonl"


def part_name(number: int) -> str:
    """The file name of the part with the records of segment `number`."""
    return f"part-{number:06}.parquet"


def segment_number(name: str) -> int | None:
    """The number in the file name of a segment; None for another file name."""
    found = _SEGMENT.fullmatch(name)
    return int(found[1]) if found else None


def part_number(name: str) -> int | None:
    """The number in the file name of a part; None for another file name."""
    found = _PART.fullmatch(name)
    return int(found[1]) if found else None


def segments(journal: Path) -> dict[int, Path]:
    """The existing segments of a journal, by number, in order."""
    return _numbered(journal, segment_number)


def parts(folder: Path) -> dict[int, Path]:
    """The existing parts of a data set's table in a folder, by number, in order."""
    return _numbered(folder, part_number)


def _numbered(folder: Path, number_of: Callable[[str], int | None]) -> dict[int, Path]:
    try:
        found = {number_of(path.name): path for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(sorted((number, path) for number, path in found.items() if number is not None))


def has_segments(path: str) -> bool:
    """Whether a session has records in a journal; its segments may become Parquet while it is read."""
    if is_uri(path):
        return False
    here = Path(path)
    return bool(segments(here) or segments(journal_of(path)) or segments(here / "journal"))


def is_table_place(path: str) -> bool:
    """Whether a path is a Parquet session without a look at its content: a URI, a folder, or only a journal exists."""
    if is_uri(path):
        return True
    here = Path(path)
    return here.is_dir() or (not here.exists() and bool(segments(journal_of(path))))
