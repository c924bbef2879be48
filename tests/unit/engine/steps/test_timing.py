"""Delays are never shorter than asked, whatever they are drawn from; and the other steps that do not answer."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine import clock
from mockrec.engine.rules.model import Delay, SourceLocation
from mockrec.engine.steps import timing

pytestmark = pytest.mark.anyio

PLACE = SourceLocation("rules.yaml", 1, 1, "")


class SlowClock:
    """Time that passes only by sleeping, and then a little less than asked, as event loops do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(anyio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < 100_000
        self.now += max(seconds * 1000.0 * 0.9, 0.001)


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> SlowClock:
    return SlowClock(monkeypatch)


async def delays(slow_clock: SlowClock, step: Delay, count: int, seed: int = 1) -> list[float]:
    """How long the step took each time, in seconds."""
    act = timing.delay_handler(step, random.Random(seed))
    taken = []
    for _ in range(count):
        before = slow_clock.now
        await act(None)  # type: ignore[arg-type]
        taken.append((slow_clock.now - before) / 1000.0)
    return taken


async def test_a_loop_that_wakes_up_early_is_sent_back_to_sleep(slow_clock: SlowClock) -> None:
    await timing.sleep_until(slow_clock.now + 50.0)
    assert slow_clock.now >= 1050.0
    assert len(slow_clock.slept) > 1


async def test_a_time_that_has_passed_is_not_waited_for(slow_clock: SlowClock) -> None:
    await timing.sleep_until(slow_clock.now)
    assert slow_clock.slept == []


async def test_a_fixed_delay(slow_clock: SlowClock) -> None:
    for taken in await delays(slow_clock, Delay(PLACE, fixed=0.25), 20):
        assert 0.25 <= taken < 0.2501
    assert await delays(slow_clock, Delay(PLACE, fixed=0.0), 1) == [0.0]


async def test_a_uniform_delay_covers_its_range(slow_clock: SlowClock) -> None:
    taken = await delays(slow_clock, Delay(PLACE, uniform=(0.05, 0.15)), 400)
    drawn = random.Random(1)
    assert all(is_ >= drawn.uniform(0.05, 0.15) for is_ in taken)
    assert 0.05 <= min(taken) < 0.06
    assert 0.14 < max(taken) < 0.1501
    assert 0.095 < statistics.mean(taken) < 0.105


async def test_a_lognormal_delay_has_its_median_and_a_long_tail(slow_clock: SlowClock) -> None:
    taken = await delays(slow_clock, Delay(PLACE, lognormal=(0.1, 0.5)), 1000)
    assert 0.093 < statistics.median(taken) < 0.107
    assert statistics.mean(taken) > statistics.median(taken)
    spread = statistics.stdev(math.log(is_) for is_ in taken)
    assert 0.45 < spread < 0.55


async def test_each_exchange_draws_anew(slow_clock: SlowClock) -> None:
    step = Delay(PLACE, uniform=(0.05, 0.15))
    taken = await delays(slow_clock, step, 10)
    assert len(set(taken)) == 10
    assert [round(is_, 4) for is_ in taken] == [round(is_, 4) for is_ in await delays(slow_clock, step, 10)]


async def test_wait_for_body_waits_for_the_end_of_the_request(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "2"), complete=False)
    went_on = []

    async def wait() -> None:
        await timing.wait_for_body(exchange)
        went_on.append(exchange.request_body.kept)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await wait_all_tasks_blocked()
        exchange.take_data(b"ab")
        await wait_all_tasks_blocked()
        assert went_on == []
        exchange.take_end(())
    assert went_on == [b"ab", b"ab"]


async def test_wait_for_body_ends_with_the_exchange(stage: Any) -> None:
    exchange = stage.exchange("POST /", ("Content-Length", "2"), complete=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timing.wait_for_body, exchange)
        await wait_all_tasks_blocked()
        exchange.abort(None)
    assert not exchange.request_body.complete


async def test_interim_answers(stage: Any, steps: Any) -> None:
    await steps.run(
        stage,
        "- informational: {status: 103, headers: [[Link, a], [Link, b]]}\n- informational: {status: 199}\n- reply: {}",
    )
    assert stage.channel.done == [
        ("interim", 103, "Early Hints", [("Link", "a"), ("Link", "b")]),
        ("interim", 199, "Information", []),
        ("whole", 200, [("Content-Length", "0")], b"", ()),
    ]
    first, second = (record for record in stage.log.records if record["type"] == "response-information")
    assert first["headers"] == {"link": "a, b"}
    assert "headers" not in second
    assert second["rawHeaders"] == []
    assert stage.log.types[-1] == "response"


async def test_http_1_0_has_no_interim_answers(stage: Any, steps: Any) -> None:
    await steps.run(stage, "- informational: {status: 103}\n- reply: {}", version="1.0")
    assert [sent[0] for sent in stage.channel.done] == ["whole"]
    assert "response-information" not in stage.log.types
