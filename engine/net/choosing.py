"""Which plan answers an exchange: the same question for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.net import cors
from mockrec.engine.net.eager import own_task
from mockrec.engine.net.judging import deferral_of
from mockrec.engine.net.site import Site
from mockrec.engine.rules.match import MatcherError
from mockrec.engine.rules.select import CompiledRule, NeedBody, RuleSet
from mockrec.engine.steps.continuing import stacked
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
    rules = site.rules
    plan: Plan | None = None
    rule: CompiledRule | None = None
    try:
        rule = await _selected(site, rules, exchange, more, -1)
        while rule is not None and rule.continues:
            rules.use(rule)
            plan = await rule.plan.edit(exchange, rule, more)
            if plan is not None:
                break  # it could not do what it is for
            rule = await _selected(site, rules, exchange, more, rule.rank)
        else:
            plan = site.unmatched if rule is None else rule.plan
            if rule is not None:
                rules.use(rule)
    except MatcherError as error:
        rule, plan = None, matcher_failed(error)
    assert plan is not None
    if exchange.continued:
        plan = stacked(exchange.continued, plan)
    exchange.choose(rule, forwards=plan.forwards, reads=plan.reads)
    return plan


async def _selected(
    site: Site, rules: RuleSet, exchange: Exchange, more: Callable[[], Awaitable[None]], after: int
) -> CompiledRule | None:
    """The first rule after this rank that matches, once everything is there that choosing it needs."""
    judge, deferral = site.judge, None
    if judge is not None and rules.defers:
        deferral = exchange.view.deferral = deferral_of(exchange)
    rule = rules.select(exchange.view, after)
    while isinstance(rule, NeedBody):
        if judge is not None and deferral is not None and deferral.wanted:
            await own_task()
            await judge.answer(exchange, deferral)
        else:
            await more()
            if exchange.request_body.truncated:
                exchange.view.body_complete = True  # as far as matchers may see: they find that it is too long
        rule = rules.select(exchange.view, after)
    return rule
