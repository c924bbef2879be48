"""Comparisons with redacted values: a value of an expression may be a secret whose placeholder the log has.

The session's key makes the same placeholder of the same secret, so both can be compared without the secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.engine.redaction.placeholders import PLACEHOLDER
from mockrec.formats.query.checks import Check, CheckFunction, Text, compile_any

Placeholder = Callable[[str], str]
_MOST_TEXT = 64 * 1024
"""Characters of a recorded text that is compared in this way; a longer one is compared as it is recorded."""
_MOST_SECRETS = 16


def marking(placeholder: Placeholder) -> Callable[[tuple[Check, ...]], CheckFunction]:
    """Return what makes a function of checks, for which a secret equals the placeholder that stands for it."""

    def compile_checks(checks: tuple[Check, ...]) -> CheckFunction:
        plain = compile_any(checks)
        texts = [check for check in checks if isinstance(check, Text)]
        if not texts:
            return plain

        def holds(value: Any) -> bool:
            if plain(value):
                return True
            if type(value) is not str or len(value) > _MOST_TEXT or "redacted-" not in value:
                return False
            return any(_holds(check, value, placeholder) for check in texts)

        return holds

    return compile_checks


def _holds(check: Text, value: str, placeholder: Placeholder) -> bool:
    if check.operator == "==":
        return is_redacted(check.value, value, placeholder)
    if check.operator not in ("contains", "startswith", "endswith"):
        return False
    wanted = " ".join(word if word in value else placeholder(word) for word in check.value.split(" "))
    if check.operator == "contains":
        return wanted in value
    return value.startswith(wanted) if check.operator == "startswith" else value.endswith(wanted)


def is_redacted(text: str, recorded: str, placeholder: Placeholder) -> bool:
    """Whether `recorded` is `text` with placeholders in the place of its secrets.

    Walks along the literal pieces between placeholders; each is taken at its first place in `text`, or for the last
    one at the end, so the work grows with the length of both texts only.
    """
    pieces = PLACEHOLDER.split(recorded)
    marks = PLACEHOLDER.findall(recorded)
    if len(marks) > _MOST_SECRETS or not text.startswith(pieces[0]):
        return False
    position = len(pieces[0])
    for index, (mark, piece) in enumerate(zip(marks, pieces[1:], strict=True)):
        is_last = index == len(marks) - 1
        if not piece and not is_last:
            return False  # two secrets side by side: where one ends is not known
        end = len(text) - len(piece) if is_last else text.find(piece, position)
        if end < position or (is_last and not text.endswith(piece)):
            return False
        if placeholder(text[position:end]) != mark:
            return False
        position = end + len(piece)
    return True
