"""Builders for rules and requests, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import Reply, Rule, SourceLocation, Step, When

PLACE = SourceLocation("rules.yaml", 1, 3, "rules[0].then")


def make_request(
    method: str = "GET",
    url: str = "http://example.test/",
    headers: list[tuple[str, str]] | None = None,
    body: bytes | None = None,
    *,
    websocket: bool = False,
    complete: bool = True,
) -> RequestView:
    """A request as a connection would build it: the URL is taken to be normalised."""
    split = urlsplit(url)
    pairs = [list(pair) for pair in headers or []]
    joined: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = joined.get(name.lower())
        glue = "; " if name.lower() == "cookie" else ", "
        joined[name.lower()] = value if before is None else f"{before}{glue}{value}"
    port = split.port or {"http": 80, "ws": 80, "https": 443, "wss": 443}[split.scheme]
    target = split.path + (f"?{split.query}" if "?" in url else "")
    request = RequestView(
        method,
        split.scheme,
        url,
        split.hostname or "",
        port,
        target,
        joined,
        pairs,
        websocket,
        None if body is None else lambda: body,
    )
    request.body_complete = complete
    return request


def make_rule(
    when: When | None = None,
    *,
    steps: tuple[Step, ...] = (Reply(PLACE),),
    times: int | str | None = None,
    priority: float = 1,
    position: int = 0,
    id: str | None = None,  # noqa: A002
) -> Rule:
    return Rule(id or f"rule-{position + 1}", when or When(), steps, times, priority, PLACE, position)


@pytest.fixture
def request_of() -> Callable[..., RequestView]:
    return make_request


@pytest.fixture
def rule_of() -> Callable[..., Rule]:
    return make_rule


@pytest.fixture
def rules_of() -> Callable[..., list[Rule]]:
    """Several rules at their positions: each argument is a `when` or the arguments of `rule_of`."""

    def build(*specs: When | dict[str, Any]) -> list[Rule]:
        return [
            make_rule(position=position, **(spec if isinstance(spec, dict) else {"when": spec}))
            for position, spec in enumerate(specs)
        ]

    return build
