"""What docs/replay.md promises of matching, and of what is missing in a recording."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from promises import FORM, JSON, MARK, Ask, Row, Taped, assert_kept, ignoring, post, posted

from mockrec.engine.replay.serve.cassette import Cassette

pytestmark = pytest.mark.anyio

ROWS = [
    Row(
        "parameters of a query may come in any order, and count",
        (Taped("GET /q?a=1&b=2", "x"),),
        (Ask("GET /q?b=2&a=1", "x"), Ask("GET /q?b=2&a=3", 503, says='query:a: recorded "1", asked for "3"')),
    ),
    Row(
        "fields of a form and members of JSON may come in any order",
        (posted("form", "a=1&b=2", FORM), posted("json", '{"a": 1, "b": [1]}', JSON, start="POST /j")),
        (post("form", "b=2&a=1", FORM), post("json", '{"b":[1],"a":1}', JSON, start="POST /j")),
    ),
    Row(
        "a redaction mark stands for any value",
        (posted("in", f'{{"user": "ann", "pin": "{MARK}"}}', JSON), Taped(f"GET /u/{MARK}/x?t={MARK}", "mine")),
        (
            post("in", '{"pin": 1234, "user": "ann"}', JSON),
            post(503, '{"pin": 1, "user": "bob"}', JSON, says='json:$.user: recorded "ann", asked for "bob"'),
            Ask("GET /u/17/x?t=9", "mine"),
        ),
    ),
    Row(
        "repeated requests get the answers in order, then the last one again",
        (Taped("GET /r", "1"), Taped("GET /r", "2")),
        (Ask("GET /r", "1"), Ask("GET /r", "2"), Ask("GET /r", "2")),
    ),
    Row(
        "what does not count can be chosen",
        (Taped("GET /q?cb=1", "x"),),
        (Ask("GET /q?cb=2", "x"),),
        ignoring("query:cb"),
    ),
    Row(
        "a redirect is given without the body that was not kept",
        (Taped("GET /re", b"\x00missing", (("Location", "/x"), ("Content-Encoding", "gzip")), status=302),),
        (Ask("GET /re", (302, b""), head=("Location", "/x")),),
    ),
    Row(
        "a body whose content-encoding nobody knows is given without it",
        (Taped("GET /x", '{"a":1}', (JSON, ("Content-Encoding", "dcb"))),),
        (Ask("GET /x", (200, b'{"a":1}'), head=("Content-Type", "application/json")),),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.promise for row in ROWS])
async def test_promise(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    await assert_kept(row, stage, recorded, cassette)


def test_every_row_of_the_guide_has_a_promise() -> None:
    """The tables of docs/replay.md and these rows are to grow together."""
    guide = (Path(__file__).parents[5] / "docs" / "replay.md").read_text(encoding="utf-8")
    section = guide[guide.index("### Several recordings of one request") : guide.index("### Misses")]
    promises = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_promises*.py"))
    for word in re.findall(
        r"`(Range|If-Range|If-None-Match|If-Modified-Since|Accept|Accept-Language|Vary|304)`", section
    ):
        assert word in promises, word
    for name in ("AWS", "Google", "Azure", "CloudFront", "Alibaba", "Idempotency-Key", "Content-ID"):
        assert name in section, name
