"""Names of outputs with placeholders: `ci/{repo}/{branch}/{run}/{job}/`. `{{` and `}}` are braces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.errors import OutputError
from mockrec.formats.text.ci import values_of

NAMES = ("repo", "branch", "run", "job", "shard", "commit", "date", "time", "scope", "worker")
"""All placeholders."""
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LONGEST = 120
"""Characters of a value: file systems have names of up to 255 bytes."""
_SAFE = "@+,"


class OutputNameError(OutputError):
    """The name of an output cannot be made. This is wrong usage."""

    exit_code = 2


def has_placeholders(name: str) -> bool:
    """Whether a name has braces."""
    return "{" in name or "}" in name


def filled(name: str, env: Mapping[str, str], now: str, *, keeps: Collection[str] = ()) -> str:
    """Return the name with values for its placeholders, but for those that it `keeps`.

    `now` is the time in UTC, as in `2026-11-30T10:15:02Z`. Raises `OutputNameError` for a placeholder without a value.
    """
    if not has_placeholders(name):
        return name
    known = {**values_of(env), "date": now[:10], "time": now[11:19].replace(":", "")}
    remote = is_uri(name)

    def value_of(match: re.Match[str]) -> str:
        text = match[0]
        if text in ("{{", "}}"):
            return text[0]
        key = match[1]
        if key is None:
            raise OutputNameError(name, f"a single {text} in a name; write {text * 2} for the character itself")
        if key in keeps:
            return text
        if key not in known:
            there = ", ".join(f"{{{one}}}" for one in NAMES if one in known)
            why = "is not known here" if key in NAMES else "is no placeholder"
            if key == "scope":
                why += " without --control or MOCKREC_SCOPE"
            raise OutputNameError(name, f"{{{key}}} {why}; there are {there}")
        encoded = as_folder_name(known[key])
        # A URI is decoded once before it is a path.
        return quote(encoded, safe="") if remote else encoded

    return _PIECE.sub(value_of, name)


def as_folder_name(value: str) -> str:
    """Return a value as a part of a path on every file system: percent-encoded as Hive does, and not too long."""
    encoded = quote(value, safe=_SAFE)
    if encoded.strip(".") == "":
        encoded = encoded.replace(".", "%2E")
    if len(encoded) <= _LONGEST:
        return encoded
    digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{re.sub('%[0-9A-F]?$', '', encoded[: _LONGEST - 13])}-{digest}"
