"""The answer to a request that no rule matches: a 503 that says why, and which rule would match."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.explain import explain_miss
from mockrec.engine.rules.select import RuleSet
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.plan import Plan


def explain_plan(rules: Callable[[], RuleSet]) -> Plan:
    """`rules` gives the rules in force at the moment of the miss."""

    async def act(exchange: Exchange) -> None:
        exchange.unmatched = True
        text = explain_miss(exchange.view, rules())
        await exchange.reply(Answer(503, (TEXT_TYPE,), text.encode("utf-8", "replace")))

    return Plan([act], is_quick=True)
