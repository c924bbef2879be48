"""Patterns of session names: `ci/*/main/**`. Pure: nothing here reads a file or a store."""

from __future__ import annotations

import re
from urllib.parse import unquote

import re2

from mockrec.formats.parquet.paths import is_uri

_WILD = re.compile(r"[*?\[]")
_WILD_IN_URI = re.compile(r"[*\[]")
"""A `?` begins the options of a store: `s3://bucket/ci/*?region=eu-west-1`."""
_EXTENSION = re.compile(r"(\.(jsonl|ndjson|json|har|parquet|gz|zst|mitm|flows?|ya?ml))+$", re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def is_pattern(name: str) -> bool:
    """Whether a name has wildcards."""
    return (_WILD_IN_URI if is_uri(name) else _WILD).search(name) is not None


def split_pattern(pattern: str) -> tuple[str, str]:
    """Return the folder before the first wildcard, without a final slash, and the rest: `ci/*/x` → `ci`, `*/x`."""
    first = _WILD.search(pattern)
    cut = pattern.rfind("/", 0, first.start() if first else len(pattern)) + 1
    folder = pattern[: cut - 1] if cut else ""
    return folder or ("/" if cut == 1 else ""), pattern[cut:]


class Pattern:
    """A pattern of paths: `*` and `?` stay in a folder, `**` is any number of folders, `[ab]` one of the characters."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError` for a set of characters that is no set."""
        self.text = text
        self._last = text.rpartition("/")[2]
        try:
            self._regex = re2.compile(_regex_of(text))
        except re2.error as error:
            raise ValueError(f"{text}: {error}") from None

    @property
    def names_files(self) -> bool:
        """Whether the last part has a dot, as in `*.log`: then it decides which files are sessions, whatever they are
        called."""
        return "." in self._last

    def matches(self, path: str) -> bool:
        """Whether the pattern matches a path, or a folder above it."""
        at = len(path)
        while at > 0:
            if self._regex.fullmatch(path[:at]):
                return True
            at = path.rfind("/", 0, at)
        return False

    def is_exact(self, path: str) -> bool:
        """Whether the pattern matches the whole path."""
        return self._regex.fullmatch(path) is not None


def _regex_of(text: str) -> str:
    pieces: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("**/", at):
            pieces.append("(?:.*/)?")
            at += 3
        elif text.startswith("**", at):
            pieces.append(".*")
            at += 2
        elif text[at] == "[" and (end := text.find("]", at + 2)) > 0:
            inside = text[at + 1 : end].replace("\\", "\\\\")
            pieces.append(f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            at = end + 1
        else:
            pieces.append({"*": "[^/]*", "?": "[^/]"}.get(text[at]) or re2.escape(text[at]))
            at += 1
    return "(?s)" + "".join(pieces)


def keys_of(name: str) -> dict[str, str]:
    """Return the keys of a session's folders, as in `repo=shop/branch=main/s.parquet` (Hive's partitions).

    Values are percent-decoded; those in a URI twice, because a URI is decoded before it is a path.
    """
    remote = is_uri(name)
    bare = name.partition("?")[0] if remote else name
    *folders, last = bare.split("/")
    # `job=a.parquet` is a file: its extension is no part of the value.
    parts = [*folders, _EXTENSION.sub("", last)]
    found: dict[str, str] = {}
    for part in parts:
        if match := _KEY.fullmatch(unquote(part) if remote else part):
            found[match[1]] = unquote(match[2])
    return found
