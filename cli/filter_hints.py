"""Hints of `mockrec filter` when nothing matches: what the expression may have meant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mockrec.cli import printing
from mockrec.cli.arguments import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mockrec.formats.query import Plan

_SLASHES = re.compile(r"""~\*?\s*["']?(/[^\s/"']+(?:/[^\s/"']+)*/[a-z]?)["']?(?=[\s)]|$)""")
"""A regular expression in the notation of other languages: `/users/.*/`."""
_PREFIX = re.compile(r"((?:/[\w.~%-]+)+/)\.\*/?")
"""Such an expression that means all paths below a folder."""


def explain_nothing(expression: str, plan: Plan, paths: Sequence[str]) -> None:
    """Print hints for an expression that matched nothing in these sessions, which are read again."""
    from mockrec.formats.query.rewritten import hidden, of_requests

    if pattern := _SLASHES.search(expression):
        printing.note(printing.escape(slashes_hint(pattern[1])))
    if not all(Path(path).is_file() for path in paths):  # a pipe cannot be read again
        return
    if not plan.records and (asked := of_requests(plan)) is not None and (count := _count(paths, asked)):
        printing.note(
            f"json[…] and body are the response's; as request.json[…] and request.body, "
            f"{printing.plural(count, 'exchange')} would match"
        )
    marked = hidden(plan)
    if marked is not None and (count := _count(paths, marked)):
        _print_of_marks(count, paths)


def slashes_hint(pattern: str) -> str:
    """Return the sentence for a pattern between slashes; of `/users/.*/`, only the prefix may have been meant."""
    words = f"the slashes of {pattern} are part of the pattern; without them: {pattern.strip('/')}"
    if prefix := _PREFIX.fullmatch(pattern):
        return f"{words}; did you mean {prefix[1]} at the start? that is: path startswith {prefix[1]}"
    return words


def _print_of_marks(count: int, paths: Sequence[str]) -> None:
    there = f"{printing.plural(count, 'exchange')} may match, but for values that redaction has replaced by marks"
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        printing.note(f"{there}; with the key of the recording in {KEY_VARIABLE} a true value is found by its mark")
        return
    from mockrec.engine.redaction.placeholders import Placeholders

    ours = Placeholders.from_passphrase(key).key_id
    others = sorted({key for path in paths if (key := _key_of(path)) not in ("", ours)})
    if others:
        printing.note(
            f"{there} of another key ({printing.escape(', '.join(others))}) than that of {KEY_VARIABLE} ({ours})"
        )


def _count(paths: Sequence[str], plan: Plan) -> int:
    from mockrec.formats.select.selection import Selection

    selection = Selection(paths, plan)
    try:
        return selection.count()
    finally:
        selection.close()


def _key_of(path: str) -> str:
    from mockrec.formats.select.selection import open_input

    known = open_input(path)
    try:
        redaction = (known.header() or {}).get("redaction")
        return str(redaction.get("keyId", "")) if isinstance(redaction, dict) else ""
    finally:
        known.close()
