"""Secrets in a head that is kept as it was received (`rawHead`), because it is malformed.

Its fields are found as in the parser that repaired them (`wire/odd_fields.py`): the name is what precedes the colon,
with or without blanks, and the value includes all folded lines. A field without secrets stays byte for byte.
"""

from __future__ import annotations

import re

from mockrec.engine.redaction.finder import SecretFinder

_FIELD = re.compile(r"[^\n]*\n?(?:[ \t][^\n]*\n?)*")
"""A line with its line break, and the folded lines that continue it."""


def raw_head(text: str, finder: SecretFinder) -> str:
    """Redact the head, in time linear in its size."""
    return "".join([_field(found[0], finder) for found in _FIELD.finditer(text)])


def _field(line: str, finder: SecretFinder) -> str:
    start = 1 if line.startswith(":") else 0  # pseudo-header fields of HTTP/2
    name, colon, value = line[start:].partition(":")
    content = value.rstrip("\r\n")
    bare = " ".join(content.split())
    if not colon:
        return finder.string(line)
    redacted = finder.header(name.strip(" \t").lower(), bare)
    if redacted == bare:
        return line
    return f"{line[:start]}{name}: {redacted}{value[len(content) :]}"
