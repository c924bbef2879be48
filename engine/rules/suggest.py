"""A rule that would match a request, as YAML that can be pasted under `rules:`."""

from __future__ import annotations

import re

from mockrec.engine.rules.request import RequestView

# What needs no quotes, so that common suggestions read like the documentation. Everything else is quoted.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*")
_PLAIN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})


def suggest_rule(request: RequestView) -> str:
    """A list of one rule, by method and path.

    The language has upper-case methods only, so another one is left out, as is a target such as `*`.
    """
    when = []
    if request.method == request.method.upper():
        plain = request.method in _PLAIN_METHODS
        when.append(f"method: {request.method if plain else quoted(request.method)}")
    if request.path.startswith("/"):
        plain = _PLAIN_PATH.fullmatch(request.path) is not None
        when.append(f"path: {request.path if plain else quoted(request.path)}")
    then = "{close: {}}" if request.websocket else "{reply: {status: 200, body: Hello}}"
    return f"- when: {{{', '.join(when)}}}\n  then: {then}\n"


def quoted(text: str) -> str:
    """A double-quoted YAML scalar in ASCII; `${` is doubled, because it begins an environment variable."""
    text = text.replace("${", "$${")
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if " " <= char <= "~":
        return char
    code = ord(char)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
