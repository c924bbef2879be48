"""Redaction of a recorded session, line by line."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope, SecretScope
from mockrec.formats.files.jsonl import encode_lines

_MOST_REMEMBERED = 10_000
"""Exchanges whose secrets are remembered; those without a record for the longest time are forgotten."""


class LineRedactor:
    """Redacts lines as the recorder would have done. The lines have to contain the bodies, not refer to files."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        redactor = Redactor.of("default", environment)
        assert redactor is not None
        self._redactor = redactor
        self._scopes: OrderedDict[str, SecretScope] = OrderedDict()

    def line(self, line: bytes) -> bytes:
        """Redact a line, which has no line break at its end. One that is not a record is returned as it is; the reader
        of the session reports it."""
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return line
        if not isinstance(record, dict):
            return line
        kind, redactor = record.get("type"), self._redactor
        if kind == "session-started":
            if _mode(record) == "default":
                raise ValueError("it is redacted already")
            record["redaction"] = redactor.description
        redacted = redactor.record(record, self._scope(record))
        if kind == "session-ended":
            redacted["redactions"] = redactor.count
        return encode_lines((redacted,))[:-1]

    def _scope(self, record: dict[str, Any]) -> SecretScope | None:
        identity = record.get("id")
        if not isinstance(identity, str):
            return None
        scope = self._scopes.pop(identity, None) or DetachedScope()
        self._scopes[identity] = scope
        if len(self._scopes) > _MOST_REMEMBERED:
            self._scopes.popitem(last=False)
        return scope


def _mode(record: dict[str, Any]) -> object:
    redaction = record.get("redaction")
    return redaction.get("mode") if isinstance(redaction, dict) else None
