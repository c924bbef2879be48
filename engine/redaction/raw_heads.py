"""Secrets in a head that is kept as it came (`rawHead`), because something in it broke the rules.

Its fields are found as the reader that repaired it found them (`http1/odd_fields.py`): by what stands before the colon,
with blanks or without, and over all lines of a fold. A field without secrets stays byte for byte.
"""

from __future__ import annotations

import re

from mockrec.engine.redaction.finder import SecretFinder

_FIELD = re.compile(r"[^\n]*\n?(?:[ \t][^\n]*\n?)*")
"""A line with its end, and the lines that go on with it."""


def raw_head(text: str, finder: SecretFinder) -> str:
    """The head with placeholders in place of its secrets. The work grows with its size."""
    return "".join([_field(found[0], finder) for found in _FIELD.finditer(text)])


def _field(line: str, finder: SecretFinder) -> str:
    start = 1 if line.startswith(":") else 0  # pseudo-fields of HTTP/2
    name, colon, value = line[start:].partition(":")
    kept = value.rstrip("\r\n")
    bare = " ".join(kept.split())
    if not colon:
        return finder.string(line)
    redacted = finder.header(name.strip(" \t").lower(), bare)
    if redacted == bare:
        return line
    return f"{line[:start]}{name}: {redacted}{value[len(kept) :]}"
