"""Redaction of a session that has been recorded already, line by line."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.formats.files.jsonl import encode_lines

_MOST_REMEMBERED = 10_000
"""Exchanges of which it is known what was secret in them; the ones that were not heard of for longest are forgotten."""


class LineRedactor:
    """Redacts lines as the recorder would have done. Bodies have to be in the lines, not beside them."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        redactor = Redactor.of("default", environment)
        assert redactor is not None
        self._redactor = redactor
        self._holders: OrderedDict[str, SecretScope] = OrderedDict()

    def line(self, line: bytes) -> bytes:
        """A line without its end. What is no record stays as it is, for others to say so."""
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
            record["redaction"] = redactor.told
        redacted = redactor.record(record, self._holder(record))
        if kind == "session-ended":
            redacted["redactions"] = redactor.count
        return encode_lines((redacted,))[:-1]

    def _holder(self, record: dict[str, Any]) -> SecretScope | None:
        identity = record.get("id")
        if not isinstance(identity, str):
            return None
        holder = self._holders.pop(identity, None) or SecretScope()
        self._holders[identity] = holder
        if len(self._holders) > _MOST_REMEMBERED:
            self._holders.popitem(last=False)
        return holder


def _mode(record: dict[str, Any]) -> object:
    redaction = record.get("redaction")
    return redaction.get("mode") if isinstance(redaction, dict) else None
