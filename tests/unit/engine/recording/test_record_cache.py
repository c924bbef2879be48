"""The log forms of parts of records that repeat."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from mockrec.engine.recording import record_cache
from mockrec.engine.recording.record_cache import LogForm, RecordCache
from mockrec.engine.redaction.redactor import Redactor


def head(token: str = "abcdef-0123456789") -> dict[str, Any]:
    return {"method": "GET", "rawHeaders": [["Authorization", f"Bearer {token}"], ["Accept", "*/*"]]}


def redactor() -> Redactor:
    made = Redactor.of("default", {}, key=b"k" * 32)
    assert made is not None
    return made


def encoded(form: LogForm) -> Any:
    return orjson.loads(orjson.dumps(form.fields))


def test_a_part_that_repeats_is_redacted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    redacted = []
    of = redactor()
    redact = of.head
    monkeypatch.setattr(of, "head", lambda part, side: redacted.append(part) or redact(part, side))
    cache = RecordCache(of)
    first = cache.part(head(), "request")
    again = cache.part(head(), "request")
    assert encoded(first) == encoded(again)
    assert "abcdef-0123456789" not in str(encoded(first))
    assert first.secrets is again.secrets
    assert first.secrets is not None
    assert first.secrets.count == 1
    assert len(redacted) == 1
    cache.part(head("another-0123456789"), "request")
    assert len(redacted) == 2


def test_without_a_redactor_secrets_stay() -> None:
    form = RecordCache(None).part(head(), "request")
    assert encoded(form) == head()
    assert form.secrets is None


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_cache, "_MOST", 3)
    cache = RecordCache(None)
    for number in range(10):
        assert cache.part({"number": number}, "request").fields == {"number": number}
        assert len(cache._forms) <= 3
    large = {"text": "a" * record_cache._LARGEST}
    assert cache.part(large, "request") == LogForm(large, None)
    assert all(len(key) <= record_cache._LARGEST for key in cache._forms)
