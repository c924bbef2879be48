"""Steps from text, compiled with dice that always fall alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.steps.compile import plan_of
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.steps.spec import CompileContext
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.options import UpstreamOptions


async def _no_network(address: str, port: int) -> Any:
    raise AssertionError(f"nobody connects to {address}:{port} here")


def offline() -> tuple[UpstreamClient, UpstreamOptions]:
    """The way to servers, of which there are none."""
    return UpstreamClient(Dialer(_no_network, ClientContexts(), lambda host, port: False), 1 << 20), UpstreamOptions(
        UpstreamSettings()
    )


class Steps:
    """Plans from the text of a `then`, and the rule they belong to."""

    def __init__(self, compiled: Callable[[str], CompiledRule]) -> None:
        self._compiled = compiled
        client, options = offline()
        self.tools = CompileContext(Handlers(), Webhooks(client.dialer), client, options, random.Random(7))

    def plan(self, text: str) -> tuple[CompiledSteps, CompiledRule]:
        rule = self._compiled("id: it\nthen:\n" + "\n".join(f"  {line}" for line in text.splitlines()))
        return plan_of(rule.rule.steps, self.tools), rule

    async def run(self, stage: Any, text: str, start: str = "GET /", *headers: tuple[str, str], **more: Any) -> Any:
        """The exchange that the steps have acted on."""
        plan, rule = self.plan(text)
        return await stage.act(plan.run, start, *headers, rule=rule, **more)


@pytest.fixture
def steps(compiled: Callable[[str], CompiledRule]) -> Steps:
    return Steps(compiled)
