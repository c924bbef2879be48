"""Which plan answers an exchange: the same question for every protocol."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.net import cors
from mockrec.engine.net.site import Site
from mockrec.engine.rules.match import AskUser, MatcherError, judged
from mockrec.engine.rules.request import NO_PARAMS, RequestView
from mockrec.engine.rules.select import NEED_BODY, CompiledRule, NeedBody, RuleSet
from mockrec.engine.steps.plan import Plan
from mockrec.engine.steps.python import matcher_failed
from mockrec.engine.usercode.calls import call_plain
from mockrec.engine.usercode.failure import UserError


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
    if rules.asks_user:
        exchange.view.answers = {}
    try:
        rule = await _selected(rules, exchange, more)
    except MatcherError as error:
        exchange.choose(None)
        return matcher_failed(error, site.report_failure)
    if isinstance(rule, CompiledRule):
        rules.use(rule)
        plan: Plan = rule.plan
        exchange.choose(rule, forwards=plan.forwards, reads=plan.reads)
        return plan
    exchange.choose(None, forwards=site.unmatched.forwards, reads=site.unmatched.reads)
    return site.unmatched


async def _selected(
    rules: RuleSet, exchange: Exchange, more: Callable[[], Awaitable[None]]
) -> CompiledRule | NeedBody | None:
    """The rule, once everything is there that choosing it needs. Raises MatcherError."""
    view = exchange.view
    while True:
        try:
            rule = rules.select(view)
        except AskUser as asked:
            view.answers[asked.key] = await _ask(asked, view)  # type: ignore[index] # who asks has made it
            view.params = NO_PARAMS  # the choice begins again
            continue
        if rule is not NEED_BODY:
            return rule
        await more()
        if exchange.request_body.truncated:
            view.body_complete = True  # as far as matchers may see: they find that it is too long


async def _ask(asked: AskUser, view: RequestView) -> bool:
    """What a `python` matcher answers. Raises MatcherError."""
    if inspect.iscoroutinefunction(asked.function):
        raise MatcherError(asked.rule_id, TypeError("a matcher must be a plain function, not an `async` one"))
    try:
        answer = await call_plain(asked.function, view)
    except UserError as failed:
        raise MatcherError(asked.rule_id, failed.error, failed.failure) from failed.error
    return judged(answer, asked.rule_id)
