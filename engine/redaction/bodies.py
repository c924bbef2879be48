"""Secrets in bodies, searched by content type: JSON, URL-encoded form, multipart form, other text or bytes."""

from __future__ import annotations

import re

import orjson

from mockrec.engine.redaction.edits import Edit
from mockrec.engine.redaction.finder import SecretFinder
from mockrec.engine.redaction.head_syntax import redacted_head
from mockrec.engine.redaction.json_spans import selected
from mockrec.engine.redaction.json_strings import unescaped
from mockrec.engine.redaction.policy import Policy

# `a=b` in these is code more often than a secret.
_CODE = re.compile(r"html|xml|javascript|ecmascript|css|svg|typescript")


def redacted_body(data: bytes, content_type: str, finder: SecretFinder, policy: Policy) -> bytes:
    """Redact a whole body, or the beginning of one."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return finder.escaped(finder.patterns(finder.json(finder.pairs(data, form=True))), has_plus=True)
    if kind == "message/http":
        data = redacted_head(data, finder.header, finder.placeholder)
    if kind.startswith("multipart/"):
        return finder.any_bytes(data, pairs=False)
    edits: list[Edit] = []
    kept: frozenset[int] = frozenset()
    value = _parsed(data, kind) if policy.paths or policy.kept_paths else None
    if value is not None:
        kept = frozenset(start for start, _ in selected(data, value, policy.kept_paths, finder.side))
        edits = [
            (start, end, finder.placeholder(unescaped(data[start:end]), data[start:end].decode()).encode())
            for start, end in selected(data, value, policy.paths, finder.side)
            if start not in kept
        ]
    if edits or kept:
        return finder.patterns(finder.json(data, edits, kept))
    is_code = _CODE.search(kind) is not None
    is_json = "json" in kind
    return finder.any_bytes(data, pairs=not is_code, lines=not (is_code or is_json))


def _parsed(data: bytes, kind: str) -> object:
    if kind and "json" not in kind and data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
