"""Steps that let time pass, or say something before the answer: delay, waitForBody, informational."""

from __future__ import annotations

import math
import random

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Delay, Informational
from mockrec.engine.steps.plan import StepHandler


async def sleep_until(due: float) -> None:
    """Return at `due` (monotonic milliseconds) or later, never before: event loops wake up a little early."""
    while (left := due - clock.now()) > 0:  # noqa: ASYNC110
        await anyio.sleep(left / 1000.0)


def delay_act(step: Delay, dice: random.Random) -> StepHandler:
    """Waits as long as the step says, drawn anew for each exchange."""

    async def act(exchange: Exchange) -> None:
        await sleep_until(clock.now() + _seconds(step, dice) * 1000.0)

    return act


def _seconds(step: Delay, dice: random.Random) -> float:
    if step.uniform is not None:
        return dice.uniform(*step.uniform)
    if step.lognormal is not None:
        median, sigma = step.lognormal
        return median * math.exp(dice.gauss(0.0, sigma))
    return step.fixed or 0.0


async def wait_for_body(exchange: Exchange) -> None:
    """Goes on when the request is complete."""
    await exchange.wait_for_body(ahead=True)


def informational_act(step: Informational) -> StepHandler:
    """Sends an interim answer; HTTP/1.0 clients know none (RFC 9110, 15.2)."""

    async def act(exchange: Exchange) -> None:
        if exchange.head.version != "1.0":
            await exchange.send_interim(step.status, step.headers)

    return act
