"""Recognise a HAR by the beginning of the file, also if `log` is not its first member."""

from __future__ import annotations

import re

CALLBACK = re.compile(rb"\s*[A-Za-z_$][A-Za-z0-9_$.]{0,60}\s*\(\s*(?=[\[{])")
"""The beginning of a HARP: JSON in a call, for pages that load it as a script."""
_LIKELY = re.compile(rb"\s*(?:\[\s*)?\{")
_RECORD = frozenset({b"type", b"seq"})
"""The first key of a session's record."""
_KEY = re.compile(rb'\s*"([^"\\]{0,64})"\s*:\s*')
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^,:\]}\s\"]++")
_COMMA = re.compile(rb"\s*,")


def names_log(start: bytes) -> bool:
    """True if the first object in `start`, or in a list there, has a member `log` that is an object, or `entries` that
    is a list. Members before it are skipped, as far as `start` goes."""
    call = CALLBACK.match(start)
    found = _LIKELY.match(start, call.end() if call else 0)
    at = found.end() if found else len(start)
    while (key := _KEY.match(start, at)) is not None:
        at = key.end()
        first = start[at : at + 1]
        if key[1] in _RECORD or not first:
            return False
        if (key[1] == b"log" and first == b"{") or (key[1] == b"entries" and first == b"["):
            return True
        at = _value_end(start, at, first)
        comma = _COMMA.match(start, at)
        if comma is None:
            return False
        at = comma.end()
    return False


def _value_end(start: bytes, at: int, first: bytes) -> int:
    if first not in (b"{", b"["):
        found = (_STRING if first == b'"' else _SCALAR).match(start, at)
        return found.end() if found else len(start)
    depth = 0
    while True:
        found = _TO_BRACKET.match(start, at)
        at = found.end() if found else at
        if at >= len(start) or start[at : at + 1] == b'"':
            return len(start)
        depth += 1 if start[at : at + 1] in (b"{", b"[") else -1
        at += 1
        if depth == 0:
            return at
