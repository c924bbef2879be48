"""Redaction of a session that was recorded with its secrets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from mockrec.engine.redaction.lines import LineRedactor

SECRET = "hunter2-hunter2"


def line(**record: Any) -> bytes:
    return orjson.dumps(record)


def test_a_secret_of_an_exchange_is_replaced_wherever_it_appears_in_it() -> None:
    redactor = LineRedactor({"MOCKREC_REDACT_KEY": "k"})
    raw = [["Authorization", f"Bearer {SECRET}"]]
    lines = [
        line(type="session-started", redaction={"mode": "none"}),
        line(type="request", id="1", url="http://a.test/", headers={"authorization": raw[0][1]}, rawHeaders=raw),
        line(type="response", id="1", statusCode=200, body={"size": 15, "text": SECRET}),
        line(type="response", id="2", statusCode=200, body={"size": 2, "text": "ok"}),
        line(type="session-ended", redactions=0),
    ]
    redacted = [redactor.line(each) for each in lines]
    assert not any(SECRET.encode() in each for each in redacted)
    started, request, response, other, ended = map(orjson.loads, redacted)
    assert started["redaction"]["mode"] == "default"
    placeholder = request["headers"]["authorization"].removeprefix("Bearer ")
    assert placeholder.startswith("redacted-")
    assert response["body"]["text"] == placeholder
    assert other == orjson.loads(lines[3])
    assert ended["redactions"] > 0


def test_what_is_no_record_stays() -> None:
    redactor = LineRedactor({})
    assert redactor.line(b"{torn") == b"{torn"
    assert redactor.line(b"[1]") == b"[1]"


def test_a_session_is_redacted_once() -> None:
    with pytest.raises(ValueError, match="it is redacted already"):
        LineRedactor({}).line(line(type="session-started", redaction={"mode": "default", "keyId": "x"}))
