"""Steps before the response: delay, waitForBody, informational."""

from __future__ import annotations

import math
import random

import anyio

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Delay, Informational, WaitForBody
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec


async def sleep_until(due: float) -> None:
    """Return at `due` (monotonic milliseconds) or later, never before it: event loops wake up a little early."""
    while (left := due - clock.now()) > 0:  # noqa: ASYNC110
        await anyio.sleep(left / 1000.0)


def delay_handler(step: Delay, dice: random.Random) -> StepHandler:
    """Wait as long as the step says; a random delay is drawn for each exchange."""

    async def handle(exchange: Exchange) -> None:
        await sleep_until(clock.now() + _seconds(step, dice) * 1000.0)

    return handle


def _seconds(step: Delay, dice: random.Random) -> float:
    if step.uniform is not None:
        return dice.uniform(*step.uniform)
    if step.lognormal is not None:
        median, sigma = step.lognormal
        return median * math.exp(dice.gauss(0.0, sigma))
    return step.fixed or 0.0


async def wait_for_body(exchange: Exchange) -> None:
    """Return when the request is complete."""
    await exchange.wait_for_body(ahead=True)


def informational_handler(step: Informational) -> StepHandler:
    """Send an interim response, except to HTTP/1.0 clients, which do not know them (RFC 9110, 15.2)."""

    async def handle(exchange: Exchange) -> None:
        if exchange.head.version != "1.0":
            await exchange.send_interim(step.status, step.headers)

    return handle


STEPS = (
    StepSpec(Delay, lambda step, context: delay_handler(step, context.random), never_blocks=False, needs_body=False),
    StepSpec(WaitForBody, lambda step, context: wait_for_body, never_blocks=True, needs_body=False),
    StepSpec(Informational, lambda step, context: informational_handler(step), never_blocks=True, needs_body=False),
)
