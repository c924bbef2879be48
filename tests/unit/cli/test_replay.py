"""`mockrec replay` at the command line: what of a session is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.redaction.placeholders import Placeholders

KEY = "a-long-and-random-key"


def test_only_finds_a_redacted_value_by_its_true_value(
    mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Placeholders.from_passphrase(KEY).of("k-999")
    url = "http://h/a"
    asked = [
        {"type": "request", "seq": n, "id": str(n), "connectionId": "c", "method": "GET", "url": f"{url}?api_key={key}"}
        | {"path": f"/a?api_key={key}", "headers": {}, "rawHeaders": [], "httpVersion": "1.1", "protocol": "http"}
        for n, key in ((1, mark), (2, "other"))
    ]
    session = tmp_path / "s.jsonl"
    session.write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")
    monkeypatch.setenv("MOCKREC_REDACT_KEY", KEY)
    options = ("--to", "http://127.0.0.1:1", "--dry-run", "--only")
    assert mockrec("replay", session, *options, "query[api_key] == k-999").lines[0].startswith(f"GET {url}?api_key=")
    assert mockrec("replay", session, *options, "query[api_key] == k-998").lines == []
