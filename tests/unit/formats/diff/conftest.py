"""Make small sessions, and compare them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.diff.collect import Filters
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import Window
from mockrec.formats.diff.comparison import compare_sessions
from mockrec.formats.diff.ignore import parse_rule
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.result import Result
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

START = 1_767_600_000.0
"""Time of the recordings in these tests."""


class Maker:
    """Makes records of exchanges."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def identity(self) -> str:
        return f"01890a5d-0000-7000-8000-{next(self._numbers):012d}"

    def exchange(
        self,
        method: str = "GET",
        url: str = "http://api.test/things",
        status: int = 200,
        body: Any = "",
        *,
        headers: dict[str, Any] | None = None,
        sent: Any = "",
        sent_headers: dict[str, str] | None = None,
        tags: Iterable[str] = (),
        identity: str | None = None,
        **changes: Any,
    ) -> list[Record]:
        """Return the records of a request and its response. A body other than text and bytes is JSON; `changes` are members of the response."""
        identity = identity or self.identity()
        content, differences = _body(body)
        request, request_content = _body(sent)
        head = {
            "id": identity,
            "method": method,
            "url": url,
            "headers": {**request_content, **(sent_headers or {})},
            "tags": list(tags),
        }
        response = {
            "type": "response",
            "id": identity,
            "method": method,
            "url": url,
            "statusCode": status,
            "statusMessage": "",
            "headers": {**differences, **(headers or {})},
            "duration": 3.0,
            "timingEvents": {"startTimestamp": 1.0, "headersSentTimestamp": 2.0},
            "body": content,
            **changes,
        }
        return [
            {"type": "request-initiated", **head},
            {"type": "request", **head, "body": request},
            {key: value for key, value in response.items() if value is not None},
        ]

    def websocket(self, messages: Iterable[tuple[str, Any]], *, close: int = 1000) -> list[Record]:
        """A conversation on ws://api.test/chat; each message is `sent` or `received` and a text or bytes."""
        identity = self.identity()
        differences = {"id": identity, "method": "GET", "url": "ws://api.test/chat", "headers": {}, "tags": []}
        records: list[Record] = [
            {"type": "websocket-request", **differences, "body": {"size": 0, "text": ""}},
            {"type": "websocket-accepted", "id": identity, "statusCode": 101, "headers": {"upgrade": "websocket"}},
        ]
        for direction, content in messages:
            data = content if isinstance(content, bytes) else content.encode()
            records.append(
                {
                    "type": f"websocket-message-{direction}",
                    "id": identity,
                    "content": encode_body(data),
                    "isBinary": isinstance(content, bytes),
                }
            )
        return [
            *records,
            {"type": "websocket-close", **differences, "closeCode": close, "closeReason": "", "duration": 9.0},
        ]


def _body(value: Any) -> tuple[Record, dict[str, str]]:
    if isinstance(value, bytes):
        return encode_body(value), {"content-type": "application/octet-stream"}
    if isinstance(value, str):
        return encode_body(value.encode()), {"content-type": "text/plain"} if value else {}
    return encode_body(json.dumps(value).encode()), {"content-type": "application/json"}


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a session of exchanges and return its path; None in `header` leaves a key out."""
    numbers = count()

    def written(exchanges: Iterable[list[Record]], *, ended: bool = True, **header: Any) -> str:
        path = tmp_path / f"session-{next(numbers)}.jsonl"
        first = {"type": "session-started", "schemaVersion": 1, "startTime": START * 1000, **header}
        records = [first, *(record for exchange in exchanges for record in exchange)]
        if ended:
            records.append({"type": "session-ended", "reason": "finished"})
        path.write_text("".join(json.dumps({"seq": seq, **record}) + "\n" for seq, record in enumerate(records)))
        return str(path)

    return written


@pytest.fixture
def compare(write: Callable[..., str]) -> Callable[..., Result]:
    """Compare two lists of exchanges. `ignore`: rules as texts; `noise`: a third list; other keywords: options."""

    def compared(
        a: Iterable[list[Record]],
        b: Iterable[list[Record]],
        *,
        ignore: Iterable[str] = (),
        baseline: Iterable[str] = (),
        noise: Iterable[list[Record]] | None = None,
        header_a: Record | None = None,
        header_b: Record | None = None,
        **options: Any,
    ) -> Result:
        filters = Filters([parse_rule(text) for text in ignore], baseline=frozenset(baseline))
        paths = write(a, **(header_a or {})), write(b, **(header_b or {}))
        return compare_sessions(*paths, DiffOptions(**options), filters, None if noise is None else write(noise))

    return compared


@pytest.fixture
def differences() -> Callable[[Result], list[tuple[str, str, str]]]:
    """Return kind, severity and path of all differences."""

    def summarise(result: Result) -> list[tuple[str, str, str]]:
        return [
            (str(difference.finding.kind), str(difference.finding.severity), difference.finding.path)
            for difference in result.differences
        ]

    return summarise


@pytest.fixture
def values() -> ValueComparer:
    """The comparer of values for recordings of one day."""
    return ValueComparer(Window.around(START))


@pytest.fixture
def strict() -> ValueComparer:
    return ValueComparer(Window.around(START), strict=True)
