"""Comparing only what a filter expression selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.result import Result
from mockrec.formats.query import parse


@pytest.mark.parametrize(
    ("expression", "compared"),
    [
        ("status == 200", ["GET x.test/a", "GET x.test/b"]),
        ("method == GET and path == /a", ["GET x.test/a"]),
        ("not path == /a", ["GET x.test/b", "POST x.test/c", "GET api.test/chat"]),
        ("request.body contains sent and status == 201", ["POST x.test/c"]),
        ("ws.count >= 2", ["GET api.test/chat"]),
        ("ws.count >= 3", []),
        ("json[$.n] == 2", ["GET x.test/b"]),
    ],
)
def test_an_exchange_is_judged_by_all_its_records(
    make: Any, compare: Callable[..., Result], expression: str, compared: list[str]
) -> None:
    exchanges = [
        make.exchange(url="http://x.test/a", body={"n": 1}),
        make.exchange(url="http://x.test/b", body={"n": 2}),
        make.exchange("POST", "http://x.test/c", 201, sent="sent"),
        make.websocket([("sent", "a"), ("received", "b")]),
    ]
    result = compare(exchanges, exchanges, only=parse(expression))
    assert [str(endpoint) for endpoint in result.endpoints] == compared
    assert result.a.exchanges == len(compared)
    assert result.same
