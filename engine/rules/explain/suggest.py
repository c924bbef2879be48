"""A rule that would match a request, as YAML that can be pasted under `rules:`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView

if TYPE_CHECKING:
    from mockrec.engine.rules.matching.match import Matcher

# What needs no quotes, so that common suggestions read like the documentation. Everything else is quoted.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*")
_PLAIN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS = frozenset({"true", "false", "null"})
_MOST_TEXT = 200
"""Characters of a value or body that a suggestion repeats."""
_MOST_DETAILS = 5
_MOST_DEPTH = 20
_BODY_KEYS = frozenset(
    {"body", "bodyIncludes", "bodyRegex", "json", "jsonIncludes", "jsonPath", "jsonSchema", "jsonRpc"}
)


def suggest_rule(request: RequestView, decisive: Sequence[Matcher] = ()) -> str:
    """A list of one rule, by method and path, and by what the request has where `decisive` matchers look.

    The language has upper-case methods only, so another one is left out, as is a target such as `*`.
    """
    when = []
    if request.method == request.method.upper():
        plain = request.method in _PLAIN_METHODS
        when.append(f"method: {request.method if plain else quoted(request.method)}")
    if request.path.startswith("/"):
        plain = _PLAIN_PATH.fullmatch(request.path) is not None
        when.append(f"path: {request.path if plain else quoted(request.path)}")
    when += _details(request, decisive)
    then = "{close: {}}" if request.websocket else "{reply: {status: 200, body: Hello}}"
    return f"- when: {{{', '.join(when)}}}\n  then: {then}\n"


def _details(request: RequestView, decisive: Sequence[Matcher]) -> list[str]:
    """`query: {page: "2"}`, `headers: …`, `form: …`, `json: …`, as far as the request has what is looked at."""
    groups: dict[str, list[str]] = {}
    texts: list[str] = []
    for matcher in decisive[:_MOST_DETAILS]:
        if matcher.key in ("query", "headers", "cookies", "form") and matcher.name is not None:
            found = _value_of(request, matcher.key, matcher.name)
            if found is not None and f"{_key(matcher.name)}: {found}" not in groups.setdefault(matcher.key, []):
                groups[matcher.key].append(f"{_key(matcher.name)}: {found}")
        elif matcher.key == "exactQuery" and len(request.query_string) <= _MOST_TEXT:
            texts.append(f"exactQuery: {quoted(request.query_string)}")
        elif matcher.key in _BODY_KEYS and not any(text.startswith(("json:", "body:")) for text in texts):
            texts += _body(request)
    return [*(f"{key}: {{{', '.join(pairs)}}}" for key, pairs in groups.items() if pairs), *texts]


def _value_of(request: RequestView, key: str, name: str) -> str | None:
    """What the request has there, as YAML; None where it cannot be said shortly."""
    if key == "form" and FORM_TYPE not in request.content_type.lower():
        return None  # not even an absent field matches another body
    try:
        if key == "headers":
            values = request.header_values(name.lower())
        else:
            tables = {"query": request.query, "cookies": request.cookies}
            values = list((request.form if key == "form" else tables[key]).get(name, ()))
    except ValueError:
        return None
    if not values:
        return "{absent: true}"
    return quoted(values[0]) if len(values[0]) <= _MOST_TEXT else None


def _body(request: RequestView) -> list[str]:
    """`json: …` or `body: …` for a short body."""
    try:
        if not request.body_complete or len(request.body) > _MOST_TEXT * 2 or not request.body:
            return []
        text = request.text
    except ValueError:
        return []
    try:
        value = request.json
    except ValueError:
        value = None
    else:
        written = json.dumps(value, ensure_ascii=False)
        fits = written.isprintable() and "${" not in written and len(written) <= _MOST_TEXT
        if fits and written.count("[") + written.count("{") <= _MOST_DEPTH and "Infinity" not in written:
            return [f"json: {written}"]
    return [f"body: {quoted(text)}"] if len(text) <= _MOST_TEXT and "\ufffd" not in text else []


def _key(name: str) -> str:
    """A key of a mapping, in which no variable is replaced."""
    if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS:
        return name
    return '"' + "".join(map(_escaped, name)) + '"'


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
