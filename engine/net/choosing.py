"""Which plan answers an exchange: the same question for every protocol."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.net import cors
from mockrec.engine.net.eager import own_task
from mockrec.engine.net.judging import deferral_of
from mockrec.engine.net.site import Site
from mockrec.engine.rules.match import AskUser, MatcherError, judged
from mockrec.engine.rules.request import RequestView
from mockrec.engine.rules.select import NEED_BODY, NeedBody
from mockrec.engine.steps.plan import Plan
from mockrec.engine.steps.python import matcher_failed
from mockrec.engine.usercode.calls import call_plain
from mockrec.engine.usercode.failure import UserError

More = Callable[[], Awaitable[None]]
"""Returns when more of a request has come."""


async def choose_plan(site: Site, exchange: Exchange, more: More) -> Plan:
    """Find the rule that answers, or what does where none matches; the exchange knows it then.

    `more` is only called while a matcher needs the body.
    """
    if exchange.head.expects_continue and not exchange.request_body.complete:
        await exchange.inform(100)
    if site.cors is not None and cors.prepare(exchange, site.cors):
        exchange.choose(None)
        return cors.PREFLIGHT
    rules, view = site.rules, exchange.view
    if rules.asks_user:
        view.answers = {}
    if rules.defers and site.judge is not None:
        view.deferral = deferral_of(exchange)
    try:
        rule = rules.select(view)
        while rule is NEED_BODY or isinstance(rule, AskUser):
            await _find_out(rule, site, exchange, more)
            rule = rules.select(view)
    except MatcherError as error:
        exchange.choose(None)
        return matcher_failed(error, site.report_failure)
    if rule is None:
        exchange.choose(None, forwards=site.unmatched.forwards, reads=site.unmatched.reads)
        return site.unmatched
    rules.use(rule)
    plan: Plan = rule.plan
    exchange.choose(rule, forwards=plan.forwards, reads=plan.reads)
    return plan


async def _find_out(missing: NeedBody | AskUser, site: Site, exchange: Exchange, more: More) -> None:
    """Get what the choice could not go on without: an answer of the user's or of a helper, or more of the body.

    Raises MatcherError.
    """
    view = exchange.view
    if isinstance(missing, AskUser):
        assert view.answers is not None
        view.answers[missing.key] = await _ask(missing, view)
    elif site.judge is not None and view.deferral is not None and view.deferral.wanted:
        await own_task()
        await site.judge.answer(exchange, view.deferral)
    else:
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
