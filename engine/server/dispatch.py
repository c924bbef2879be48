"""Which plan answers an exchange: the same question for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.matching.match import AskUser, MatcherError, judged
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.select import NEED_BODY, CompiledRule, NeedBody
from mockrec.engine.server import cors
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.deferred_matching import deferral_of
from mockrec.engine.server.eager_task import detach
from mockrec.engine.steps.continuing import stacked
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.steps.python import matcher_failed
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import UserError

More = Callable[[], Awaitable[None]]
"""Returns when more of a request has come."""


async def select_plan(site: ServerContext, exchange: Exchange, more: More) -> CompiledSteps:
    """Find the rule that answers, or what does where none matches; the exchange knows it then.

    `more` is only called while a matcher needs the body.
    """
    if exchange.head.expects_continue and not exchange.request_body.complete:
        await exchange.send_interim(100)
    if site.cors is not None and cors.prepare(exchange, site.cors):
        exchange.choose(None)
        return cors.PREFLIGHT
    rules = site.rules
    plan: CompiledSteps | None = None
    try:
        rule = await _selected(site, exchange, more, -1)
        while rule is not None and rule.continues:
            rules.use(rule)
            plan = await rule.plan.edit(exchange, rule, more)
            if plan is not None:
                break  # it could not do what it is for, or it has answered
            rule = await _selected(site, exchange, more, rule.rank)
        else:
            plan = site.unmatched if rule is None else rule.plan
            if rule is not None:
                rules.use(rule)
    except MatcherError as error:
        rule, plan = None, matcher_failed(error, site.report_failure)
    assert plan is not None
    if exchange.continued:
        plan = stacked(exchange.continued, plan)
    exchange.choose(rule, streams_body=plan.streams_body, needs_body=plan.needs_body)
    return plan


async def _selected(site: ServerContext, exchange: Exchange, more: More, after: int) -> CompiledRule | None:
    """The first rule after this rank that matches, once everything is there that choosing it needs.

    Raises MatcherError.
    """
    rules, view = site.rules, exchange.view
    if rules.asks_user and view.answers is None:
        view.answers = {}
    if rules.defers and site.judge is not None and view.deferral is None:
        view.deferral = deferral_of(exchange)
    rule = rules.select(view, after)
    while rule is NEED_BODY or isinstance(rule, AskUser):
        await _find_out(rule, site, exchange, more)
        rule = rules.select(view, after)
    return rule


async def _find_out(missing: NeedBody | AskUser, site: ServerContext, exchange: Exchange, more: More) -> None:
    """Get what the choice could not go on without: an answer of the user's or of a helper, or more of the body.

    Raises MatcherError.
    """
    view = exchange.view
    if isinstance(missing, AskUser):
        assert view.answers is not None
        view.answers[missing.key] = await _ask(missing, view)
        view.params = NO_PARAMS  # the choice begins again
    elif site.judge is not None and view.deferral is not None and view.deferral.wanted:
        await detach()
        await site.judge.answer(exchange, view.deferral)
    else:
        await more()
        if exchange.request_body.truncated:
            view.body_complete = True  # as far as matchers may see: they find that it is too long


async def _ask(asked: AskUser, view: RequestView) -> bool:
    """What a `python` matcher answers. Raises MatcherError."""
    try:
        answer = await call(asked.function, view)
    except UserError as failed:
        raise MatcherError(asked.rule_id, failed.error, failed.failure) from failed.error
    return judged(answer, asked.rule_id)
