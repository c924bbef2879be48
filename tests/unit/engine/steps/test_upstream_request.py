"""The request that a server gets for a client's: made once for equal heads, and never that of another rule."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.exchange.edited import EditedRequest
from mockrec.engine.rules.model import BodyChange, HeaderChanges, Passthrough, RequestChanges, SourceLocation
from mockrec.engine.steps.upstream_request import build_request, request_for_server
from mockrec.engine.upstream.options import UpstreamOptions

pytestmark = pytest.mark.anyio

PLACE = SourceLocation("rules.yaml", 1, 1, "rules[0]")
PLAIN = Passthrough(PLACE)
CHANGED = Passthrough(PLACE, request=RequestChanges(headers=HeaderChanges(set=(("X-Set", "1"),))))
OPTIONS, OTHER_OPTIONS = UpstreamOptions(UpstreamSettings()), UpstreamOptions(UpstreamSettings())
SERVER = ("https", "origin.test", 8443)


async def test_equal_heads_give_one_request(stage: Any) -> None:
    exchanges = [stage.exchange("GET /a") for _ in range(3)]  # a head is shared from the second time on
    _, first, again = [await request_for_server(exchange, PLAIN, OPTIONS) for exchange in exchanges]
    assert first is again
    other = await request_for_server(stage.exchange("GET /b"), PLAIN, OPTIONS)
    assert (first.target, other.target) == ("/a", "/b")


async def test_each_rule_server_and_set_of_options_gives_its_own(stage: Any) -> None:
    cases: list[tuple[Any, ...]] = [
        (PLAIN, OPTIONS),
        (CHANGED, OPTIONS),
        (PLAIN, OTHER_OPTIONS),
        (PLAIN, OPTIONS, SERVER),
        (CHANGED, OPTIONS, SERVER),
    ]
    for case in [*cases, *reversed(cases)]:
        exchange = stage.exchange("GET /a", ("X-Own", "2"))
        found, expected = await request_for_server(exchange, *case), await build_request(exchange, *case)
        assert found == expected
        assert found.route.options is case[1]


async def test_an_edited_request_or_one_with_a_new_body_is_not_kept(stage: Any) -> None:
    _, shared = [stage.exchange("POST /a", ("Content-Length", "2"), body=b"ab") for _ in range(2)]
    plain = await request_for_server(shared, PLAIN, OPTIONS)
    edited = stage.exchange("POST /a", ("Content-Length", "2"), body=b"ab")
    edited.edit(EditedRequest("PUT", edited.target))
    assert (await request_for_server(edited, PLAIN, OPTIONS)).method == "PUT"
    new_body = Passthrough(PLACE, request=RequestChanges(body=BodyChange(data=b"abc")))
    for _ in range(2):
        exchange = stage.exchange("POST /a", ("Content-Length", "2"), body=b"ab")
        request = await request_for_server(exchange, new_body, OPTIONS)
        assert request is not plain
        assert ["Content-Length", "2"] in request.raw_headers
        request.raw_headers = []
    exchange = stage.exchange("POST /a", ("Content-Length", "2"), body=b"ab")
    assert await request_for_server(exchange, PLAIN, OPTIONS) is plain
