"""Hints for arguments in the wrong place: a COMMAND without `--` before it, an expression without quotes."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

OPERATORS = frozenset({"==", "=", "!=", "<=", ">=", "~", "~*", "!~", "!~*", "contains", "startswith", "endswith", "in"})
"""Comparisons of the filter language that the shell passes on as words."""
_RULE_FILES = (".yaml", ".yml", ".json")


def command_hint(arguments: Sequence[str], extra: Sequence[str], rules: str | None) -> str:
    """Return the sentence for a COMMAND that stands before no `--`; empty if nothing looks like one.

    `arguments` are those of `run`, `extra` those that no parameter takes, `rules` is the value of RULES.
    """
    words = [*([rules] if rules is not None and _is_program(rules) else ()), *extra]
    if not words:
        return ""
    start = next((place for place, one in enumerate(arguments) if words[0] in (one, str(Path(one)))), None)
    if start is None:
        return ""
    shown = shlex.join(["mockrec", "run", *arguments[:start], "--", *arguments[start:]])
    return f"COMMAND stands behind `--`: {shown}"


def is_installed(word: str) -> bool:
    """Whether a word is the name of a program on the PATH."""
    return not word.startswith("-") and shutil.which(word) is not None


def _is_program(rules: str) -> bool:
    """Whether the value of RULES is more likely a COMMAND: no such file, and not the name of one."""
    if Path(rules).is_file() and shutil.which(rules) is None:
        return False
    return not rules.lower().endswith(_RULE_FILES) and (shutil.which(rules) is not None or not Path(rules).exists())


def quotes_hint(arguments: Sequence[str], extra: Sequence[str]) -> str:
    """Return the sentence for an expression that the shell has split into words; empty if there is none."""
    place = next((at for at, one in enumerate(arguments) if one in OPERATORS and at > 0), None)
    if place is None or not extra:
        return ""
    expression = shlex.quote(" ".join(arguments[place - 1 : place + 2]))
    return f"an expression is one argument; put it in quotes: {expression}"
