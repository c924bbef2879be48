"""The file names of a session's parts: `session.jsonl`, `session.0002.jsonl`, `session.0003.jsonl` and so on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SUFFIX = re.compile(r"(?:\.jsonl)?(?:\.gz|\.zst)?$|\.(?!\d+$)[^./]{1,8}$", re.IGNORECASE)
_PART = re.compile(r"\.(\d{4,})$")


def part_path(path: str, number: int) -> str:
    """The path of part `number` of the session at `path`; the first part has no number in its name."""
    if number == 1:
        return path
    folder, name = os.path.split(path)
    found = _SUFFIX.search(name)
    cut = found.start() if found is not None and found.start() > 0 else len(name)
    return os.path.join(folder, f"{name[:cut]}.{number:04}{name[cut:]}")


def first_path(path: str) -> str:
    """The path of the first part, given that of any part; a name without a number is returned as it is."""
    folder, name = os.path.split(path)
    found = _SUFFIX.search(name)
    cut = found.start() if found is not None and found.start() > 0 else len(name)
    stem = _PART.sub("", name[:cut])
    return os.path.join(folder, stem + name[cut:]) if stem else path


def numbered_parts(path: str) -> list[Path]:
    """The files next to `path` whose names are those of its later parts."""
    folder, wanted = Path(path).parent, os.path.basename(path)
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return []
    return [folder / name for name in names if name != wanted and first_path(name) == wanted]
