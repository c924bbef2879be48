"""The log forms of parts of records that repeat."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.recording import record_cache
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.record_cache import LogForm, RecordCache
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope
from mockrec.engine.wire.parts import ResponseHead, header_table


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
    monkeypatch.setattr(of, "head", lambda part, *more: redacted.append(part) or redact(part, *more))
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
    assert cache.part(large, "request").fields == large
    assert all(len(key) <= record_cache._LARGEST for key in cache._forms)


def ready(cache: RecordCache, bodies: BodyEncoder, data: bytes, content_type: str = "text/plain") -> LogForm | None:
    """What is ready of a body before it is logged, as that of a response of another server."""
    raw = [["Content-Type", content_type]]
    head, prepared = ResponseHead(200, "OK", raw, header_table(raw)), PreparedResponse(200, body=data)
    exchange: Any = SimpleNamespace(known=None, waiting=0, response_trailers=(), prepared=prepared, response_head=head)
    form = cache.ready_body(exchange, data)
    cache.body(data, prepared, head, DetachedScope(), bodies)
    return form


def test_a_short_body_that_servers_repeat_is_encoded_once() -> None:
    of = redactor()
    cache, bodies = RecordCache(of), BodyEncoder("decoded", 1024, of)
    assert ready(cache, bodies, b"Hello") is None
    form = ready(cache, bodies, b"Hello")
    assert form is not None
    assert form.text == b'{"size":5,"text":"Hello"}'
    assert ready(cache, bodies, b"Hello", "text/html") is None


@pytest.mark.parametrize("data", [b'{"password":"hunter2-hunter2"}', b"\xff\xfe", b"a" * 2000])
def test_a_body_that_is_long_or_secret_or_no_text_is_not_remembered(data: bytes) -> None:
    of = redactor()
    cache, bodies = RecordCache(of), BodyEncoder("decoded", 1024, of)
    assert [ready(cache, bodies, data) for _ in range(2)] == [None, None]
