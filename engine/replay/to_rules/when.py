"""Convert the match key of a recorded request to the `when` of a rule that matches the request."""

from __future__ import annotations

import re
from typing import Any

from mockrec.engine.replay.session.editable import MARK
from mockrec.engine.replay.session.fingerprint import MatchKey

_HASHED = re.compile(r"\d+ bytes, sha256 [0-9a-f]{64}")
_MARKED: Any = object()


def when_of(facts: MatchKey, host: str | None, *, queries: bool) -> dict[str, Any]:
    """Return the matchers.

    `host`: match only this host. `queries`: requests for this path were recorded both with and without a query.
    """
    when: dict[str, Any] = {"method": facts["method"]}
    if facts["websocket"]:
        when["websocket"] = True
    if host is not None:
        when["host"] = host
    path = facts["path"]
    if MARK.search(path):
        when["pathRegex"] = _regex(path)
    else:
        when["path"] = path
    query = {name: _expected(values) for name, values in facts["query"].items()}
    if query:
        when["query"] = query
    elif queries:
        when["exactQuery"] = ""
    when.update(_body(facts.get("body")))
    return when


def weight(when: dict[str, Any]) -> int:
    """Return the number of conditions of a rule: rules with more conditions must come first."""
    inside = sum(len(value) for value in when.values() if isinstance(value, (dict, list)))
    return len(when) + inside


def _expected(values: list[str]) -> Any:
    if any(MARK.search(value) for value in values):
        return {"present": True}
    return values[0] if len(values) == 1 else values


def _body(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}  # it was truncated: match any body
    if "json" in body:
        bare = _without_marks(body["json"])
        if bare is _MARKED:
            return {}
        return {"json": body["json"]} if bare == body["json"] else {"jsonIncludes": bare}
    if "form" in body:
        return {"form": {name: _expected(values) for name, values in body["form"].items()}}
    if "part" in body:
        return {"multipart": [_part(*part) for part in body["part"]]}
    text = body.get("text", "")
    if not text or _HASHED.fullmatch(text):
        return {}
    return {"bodyRegex": _regex(text)} if MARK.search(text) else {"body": text}


def _part(name: str | None, filename: str | None, content: str) -> dict[str, str]:
    part = {"name": name, "filename": filename}
    if not (_HASHED.fullmatch(content) or MARK.search(content)):
        part["content"] = content
    return {key: value for key, value in part.items() if value is not None}


def _without_marks(value: Any) -> Any:
    """Return a JSON value without the strings that hold redaction marks."""
    if isinstance(value, str):
        return _MARKED if MARK.search(value) else value
    if isinstance(value, dict):
        kept = {key: _without_marks(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one is not _MARKED}
    if isinstance(value, list):
        return [one for one in map(_without_marks, value) if one is not _MARKED]
    return value


def _regex(text: str) -> str:
    return rf"\A{'.*'.join(re.escape(piece) for piece in MARK.split(text))}\Z"
