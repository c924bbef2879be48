"""Cross-origin requests: preflights, and what is added to answers."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.config import Cors
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.server.cors import PREFLIGHT, prepare

pytestmark = pytest.mark.anyio

ORIGIN = ("Origin", "http://app.test")
ASKS = ("Access-Control-Request-Method", "PUT")
ALLOW = "Access-Control-Allow-Origin"


def added(stage: Any, settings: Cors, start: str = "GET /", *headers: tuple[str, str]) -> dict[str, str]:
    """What is added to the answer of a request that is no preflight."""
    exchange = stage.exchange(start, *headers)
    assert not prepare(exchange, settings)
    return dict(exchange.extra_headers)


def preflight(stage: Any, settings: Cors, *headers: tuple[str, str]) -> dict[str, str]:
    exchange = stage.exchange("OPTIONS /", ORIGIN, ASKS, *headers)
    assert prepare(exchange, settings)
    return dict(exchange.extra_headers)


def test_requests_without_an_origin_are_left_alone(stage: Any) -> None:
    assert added(stage, Cors()) == {}
    assert added(stage, Cors(), "OPTIONS /", ASKS) == {}


def test_everybody_may_by_default(stage: Any) -> None:
    assert added(stage, Cors(), "GET /", ORIGIN) == {ALLOW: "*"}


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        (Cors(origins=("http://app.test", "x")), {ALLOW: "http://app.test", "Vary": "Origin"}),
        (Cors(origins=("http://other.test",)), {"Vary": "Origin"}),
        (Cors(origins=("http://other.test",), credentials=True, expose=("A",)), {"Vary": "Origin"}),
        (
            Cors(credentials=True),
            {ALLOW: "http://app.test", "Vary": "Origin", "Access-Control-Allow-Credentials": "true"},
        ),
        (Cors(expose=("A", "B")), {ALLOW: "*", "Access-Control-Expose-Headers": "A, B"}),
    ],
)
def test_what_the_settings_say(stage: Any, settings: Cors, headers: dict[str, str]) -> None:
    assert added(stage, settings, "GET /", ORIGIN) == headers
    assert added(stage, settings, "OPTIONS /", ORIGIN) == headers
    assert added(stage, settings, "PUT /", ORIGIN, ASKS) == headers


def test_a_preflight_is_told_what_is_allowed(stage: Any) -> None:
    assert preflight(stage, Cors()) == {
        ALLOW: "*",
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, PATCH, OPTIONS",
    }
    headers = preflight(stage, Cors(), ("Access-Control-Request-Headers", "x-a, x-b"))
    assert headers["Access-Control-Allow-Headers"] == "x-a, x-b"
    settings = Cors(methods=("GET",), headers=("X-C",), max_age=0)
    headers = preflight(stage, settings, ("Access-Control-Request-Headers", "x-a"))
    assert headers["Access-Control-Allow-Methods"] == "GET"
    assert headers["Access-Control-Allow-Headers"] == "X-C"
    assert headers["Access-Control-Max-Age"] == "0"


async def test_a_preflight_is_answered_with_204(stage: Any) -> None:
    exchange = stage.exchange("OPTIONS /", ORIGIN, ASKS)
    assert prepare(exchange, Cors())
    assert PREFLIGHT.never_blocks
    await PREFLIGHT.run(exchange)
    ((_, status, headers, body, _),) = stage.channel.done
    assert (status, body) == (204, b"")
    assert (ALLOW, "*") in headers
    assert stage.log.only("response")["headers"][ALLOW.lower()] == "*"


async def test_what_a_rule_sets_is_not_doubled(stage: Any) -> None:
    exchange = stage.exchange("GET /", ORIGIN)
    prepare(exchange, Cors(credentials=True))
    await exchange.reply(PreparedResponse(200, (("access-control-allow-origin", "http://mine.test"),)))
    headers = stage.channel.done[0][2]
    assert [value for name, value in headers if name.lower() == ALLOW.lower()] == ["http://mine.test"]
    assert ("Access-Control-Allow-Credentials", "true") in headers
