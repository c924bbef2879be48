"""Texts written as YAML scalars, for rules that the program suggests."""

from __future__ import annotations

import re

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS = frozenset({"true", "false", "null"})


def double_quoted(text: str) -> str:
    """A double-quoted YAML scalar in ASCII; `${` is doubled, because it begins an environment variable."""
    text = text.replace("${", "$${")
    return '"' + "".join(map(_escaped, text)) + '"'


def mapping_key(name: str) -> str:
    """A key of a mapping, in which no variable is replaced."""
    if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS:
        return name
    return '"' + "".join(map(_escaped, name)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if " " <= char <= "~":
        return char
    code = ord(char)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
