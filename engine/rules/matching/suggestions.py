"""Matchers that would match a request, in YAML: what a suggested rule says about the query and the body."""

from __future__ import annotations

import json

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.yaml.scalars import double_quoted

MOST_TEXT = 200
"""Characters of a value or body that a suggestion repeats."""
_MOST_DEPTH = 20


def query_suggestion(request: RequestView) -> list[str]:
    """`exactQuery: "?a=1"`; nothing for a long query."""
    query = request.query_string
    return [f"exactQuery: {double_quoted(query)}"] if len(query) <= MOST_TEXT else []


def body_suggestion(request: RequestView) -> list[str]:
    """`json: …` or `body: …`; nothing for a long body, or one that cannot be read."""
    try:
        if not request.body_complete or len(request.body) > MOST_TEXT * 2 or not request.body:
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
        fits = written.isprintable() and "${" not in written and len(written) <= MOST_TEXT
        if fits and written.count("[") + written.count("{") <= _MOST_DEPTH and "Infinity" not in written:
            return [f"json: {written}"]
    return [f"body: {double_quoted(text)}"] if len(text) <= MOST_TEXT and "\ufffd" not in text else []
