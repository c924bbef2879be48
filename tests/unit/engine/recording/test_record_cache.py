"""Parts of records that come again and again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from mockrec.engine.recording import record_cache as repeated
from mockrec.engine.recording.record_cache import RecordCache
from mockrec.engine.redaction.redactor import Redactor


def head(token: str = "abcdef-0123456789") -> dict[str, Any]:
    return {"method": "GET", "rawHeaders": [["Authorization", f"Bearer {token}"], ["Accept", "*/*"]]}


def redactor() -> Redactor:
    made = Redactor.of("default", {}, key=b"k" * 32)
    assert made is not None
    return made


def encoded(part: dict[str, Any]) -> Any:
    return orjson.loads(orjson.dumps(part))


def test_what_is_said_again_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    of = redactor()
    whole = of.head
    monkeypatch.setattr(of, "head", lambda part, side: looked_at.append(part) or whole(part, side))
    parts = RecordCache(of)
    first, found = parts.part(head(), "request")
    again, found_again = parts.part(head(), "request")
    assert encoded(first) == encoded(again)
    assert "abcdef-0123456789" not in str(encoded(first))
    assert found is found_again
    assert found is not None
    assert found.count == 1
    assert len(looked_at) == 1
    parts.part(head("another-0123456789"), "request")
    assert len(looked_at) == 2


def test_without_a_redactor_secrets_stay() -> None:
    told, found = RecordCache(None).part(head(), "request")
    assert encoded(told) == head()
    assert found is None


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "_MOST", 3)
    parts = RecordCache(None)
    for number in range(10):
        told, _ = parts.part({"number": number}, "request")
        assert told == {"number": number}
        assert len(parts._told) <= 3
    large = {"text": "a" * repeated._LARGEST}
    assert parts.part(large, "request") == (large, None)
    assert all(len(key) <= repeated._LARGEST for key in parts._told)
