"""Which plan answers an exchange: the same question for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.net import cors
from mockrec.engine.net.eager import own_task
from mockrec.engine.net.judging import deferral_of
from mockrec.engine.net.site import Site
from mockrec.engine.rules.match import MatcherError
from mockrec.engine.rules.select import NEED_BODY, CompiledRule
from mockrec.engine.steps.plan import Plan
from mockrec.engine.steps.python import matcher_failed


async def choose_plan(site: Site, exchange: Exchange, more: Callable[[], Awaitable[None]]) -> Plan:
    """Find the rule that answers, or what does where none matches; the exchange knows it then.

    `more` returns when more of the request has come; it is only called while a matcher needs the body.
    """
    if exchange.head.expects_continue and not exchange.request_body.complete:
        await exchange.inform(100)
    if site.cors is not None and cors.prepare(exchange, site.cors):
        exchange.choose(None)
        return cors.PREFLIGHT
    rules, judge = site.rules, site.judge
    deferral = None
    if judge is not None and rules.defers:
        deferral = exchange.view.deferral = deferral_of(exchange)
    try:
        rule = rules.select(exchange.view)
        while rule is NEED_BODY:
            if judge is not None and deferral is not None and deferral.wanted:
                await own_task()
                await judge.answer(exchange, deferral)
            else:
                await more()
                if exchange.request_body.truncated:
                    exchange.view.body_complete = True  # as far as matchers may see: they find that it is too long
            rule = rules.select(exchange.view)
    except MatcherError as error:
        exchange.choose(None)
        return matcher_failed(error)
    if isinstance(rule, CompiledRule):
        rules.use(rule)
        plan: Plan = rule.plan
        exchange.choose(rule, forwards=plan.forwards, reads=plan.reads)
        return plan
    exchange.choose(None, forwards=site.unmatched.forwards, reads=site.unmatched.reads)
    return site.unmatched
