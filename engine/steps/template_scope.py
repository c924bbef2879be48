"""The names that templates can use: request, count, now, uuid, random."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

import anyio.lowlevel

from mockrec.engine import clock
from mockrec.engine.config import Limits
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.templates.template import Scope

_LONG = 50_000
"""Steps of a rendering after which other tasks run first."""


class TemplateScopes:
    """Makes the scopes in which templates are rendered, within the limits of the run."""

    def __init__(self, dice: random.Random, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._dice = dice
        self._steps = limits.template_steps
        self._size = limits.template_size

    def of(self, exchange: Exchange) -> Scope:
        """The scope for one step of an exchange."""
        return Scope(template_context(exchange, self._dice), steps=self._steps, size=self._size)


async def let_others(scope: Scope) -> None:
    """Let other tasks run after a rendering that took long: several in a row must not add up."""
    if scope.used > _LONG:
        await anyio.lowlevel.checkpoint()


class _Now(datetime):
    """The present time in UTC; as text ISO 8601 with milliseconds and `Z`."""

    in_templates = True
    """Whether templates may call it."""

    def __str__(self) -> str:
        return self.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.microsecond // 1000:03d}Z"

    def __call__(self) -> _Now:
        return self


class _Uuid:
    """A random UUID (version 4), a new one each time it is rendered."""

    in_templates = True

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def __str__(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    __call__ = __str__


class _Random(float):
    """A number from 0 up to 1; `random(6)` and `random(1, 6)` are whole numbers, both ends included."""

    in_templates = True
    _dice: random.Random

    def __new__(cls, dice: random.Random) -> _Random:
        self = super().__new__(cls, dice.random())
        self._dice = dice
        return self

    def __call__(self, first: int, last: int | None = None) -> int:
        return self._dice.randint(0, first) if last is None else self._dice.randint(first, last)


def template_context(exchange: Exchange, dice: random.Random) -> dict[str, Any]:
    """The names of one rendering. `count` is how often the rule has been used, including this time."""
    rule = exchange.acting_rule or exchange.rule
    return {
        "request": exchange.view,
        "count": rule.used if rule is not None else 0,
        "now": _Now.fromtimestamp(clock.wall(clock.now()) / 1000.0, UTC),
        "uuid": _Uuid(dice),
        "random": _Random(dice),
    }
