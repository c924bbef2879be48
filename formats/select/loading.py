"""A record of a line that was selected without being read whole: only what was asked for had to be right."""

from __future__ import annotations

from typing import Any

import orjson

from mockrec.formats.schema.errors import SessionError


def load_record(raw: bytes) -> dict[str, Any]:
    """The record. `SessionError` for a line with something in it that is no JSON, such as `1e999`."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _bad(raw, str(error)) from None
    if not isinstance(record, dict):
        raise _bad(raw, "it is no object")
    return record


def _bad(raw: bytes, why: str) -> SessionError:
    start = ascii(raw[:80].decode("utf-8", "replace"))
    return SessionError("the session", f"expected a record, found {start} ({why}); mockrec verify names its line")
