"""Steps from text, compiled with dice that always fall alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.select import CompiledRule
from mockrec.engine.steps.compile import Tools, plan_of
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.plan import Plan
from mockrec.engine.steps.webhook import Webhooks


class Steps:
    """Plans from the text of a `then`, and the rule they belong to."""

    def __init__(self, compiled: Callable[[str], CompiledRule]) -> None:
        self._compiled = compiled
        self.tools = Tools(Handlers(), Webhooks(), random.Random(7))

    def plan(self, text: str) -> tuple[Plan, CompiledRule]:
        rule = self._compiled("id: it\nthen:\n" + "\n".join(f"  {line}" for line in text.splitlines()))
        return plan_of(rule.rule.steps, self.tools), rule

    async def run(self, stage: Any, text: str, start: str = "GET /", *headers: tuple[str, str], **more: Any) -> Any:
        """The exchange that the steps have acted on."""
        plan, rule = self.plan(text)
        return await stage.act(plan.run, start, *headers, rule=rule, **more)


@pytest.fixture
def steps(compiled: Callable[[str], CompiledRule]) -> Steps:
    return Steps(compiled)
