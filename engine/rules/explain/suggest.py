"""A rule that would match a request, as YAML that can be pasted under `rules:`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.spec import EntriesSpec
from mockrec.engine.rules.matching.suggestions import MOST_TEXT
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.yaml.scalars import double_quoted, mapping_key

if TYPE_CHECKING:
    from mockrec.engine.rules.matching.match import Matcher

# Texts without quotes, so that common suggestions look like the documentation. Everything else is quoted.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*")
_PLAIN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
_MOST_DETAILS = 5


def suggest_rule(request: RequestView, decisive: Sequence[Matcher] = ()) -> str:
    """A list of one rule that matches the method, the path, and the request's values of the `decisive` matchers.

    The language has upper-case methods only, so any other is left out, as is a target such as `*`.
    """
    when = []
    if request.method == request.method.upper():
        plain = request.method in _PLAIN_METHODS
        when.append(f"method: {request.method if plain else double_quoted(request.method)}")
    if request.path.startswith("/"):
        plain = _PLAIN_PATH.fullmatch(request.path) is not None
        when.append(f"path: {request.path if plain else double_quoted(request.path)}")
    when += _details(request, decisive)
    then = "{close: {}}" if request.websocket else "{reply: {status: 200, body: Hello}}"
    return f"- when: {{{', '.join(when)}}}\n  then: {then}\n"


def _details(request: RequestView, decisive: Sequence[Matcher]) -> list[str]:
    """`query: {page: "2"}`, `headers: …`, `form: …`, `json: …`, as far as the request has what the matchers look at."""
    groups: dict[str, list[str]] = {}
    others: list[str] = []
    for matcher in decisive[:_MOST_DETAILS]:
        spec = MATCHERS[matcher.key]
        if spec.suggestion is not None:
            others += [one for one in spec.suggestion(request) if one not in others]
        elif isinstance(spec, EntriesSpec) and matcher.name is not None:
            entry = _entry(spec, request, matcher.name)
            if entry is not None and entry not in groups.setdefault(matcher.key, []):
                groups[matcher.key].append(entry)
    return [*(f"{key}: {{{', '.join(entries)}}}" for key, entries in groups.items() if entries), *others]


def _entry(spec: EntriesSpec, request: RequestView, name: str) -> str | None:
    """A name and what the request has under it, as YAML; None for a long value, or one that cannot be read."""
    if not spec.can_match(request):
        return None  # then not even `absent` matches
    try:
        values = spec.values(request, name)
    except ValueError:
        return None
    if not values:
        return f"{mapping_key(name)}: {{absent: true}}"
    return f"{mapping_key(name)}: {double_quoted(values[0])}" if len(values[0]) <= MOST_TEXT else None
