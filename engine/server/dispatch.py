"""Selects the rule that answers an exchange, in the same way for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.matching.match import AskUser, MatcherError, verdict_of
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.select import NEED_BODY, CompiledRule, NeedBody, RuleSet
from mockrec.engine.server import cors
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.deferred_matching import deferral_of
from mockrec.engine.server.eager_task import detach
from mockrec.engine.steps.continuing import stacked
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.steps.python import matcher_failed
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import UserError

ReadMore = Callable[[], Awaitable[None]]
"""Returns when more of the request has been received."""
Found = CompiledRule | NeedBody | AskUser | None
"""What a selection has found: a rule, what it lacks to go on, or no rule."""


async def select_plan(context: ServerContext, exchange: Exchange, read_more: ReadMore) -> CompiledSteps:
    """Select the rule for `exchange`, and return its steps, or those for an unmatched request.

    `read_more` is called while a matcher, or a change of a rule with `continue`, needs the body.
    """
    if context.control is not None and exchange.log is context.control.log:
        exchange.choose(None)
        return context.control.steps
    if exchange.head.expects_continue and not exchange.request_body.complete:
        await exchange.send_interim(100)
    if context.cors is not None and cors.prepare(exchange, context.cors):
        exchange.choose(None)
        return cors.PREFLIGHT
    scope = exchange.scope
    rules = context.rules if scope is None else scope.rules
    plan: CompiledSteps | None = None
    try:
        found = _select(context, rules, exchange, -1)
        if found is None or isinstance(found, CompiledRule):
            rule = found  # most rules lack nothing, and need no coroutine
        else:
            rule = await _completed(found, context, rules, exchange, read_more, -1)
        while rule is not None and rule.continues:
            rules.use(rule)
            plan = await rule.plan.edit(exchange, rule, read_more)
            if plan is not None:
                break  # the rule has answered, or has failed
            found = _select(context, rules, exchange, rule.rank)
            rule = await _completed(found, context, rules, exchange, read_more, rule.rank)
        else:
            unmatched = context.unmatched if scope is None else scope.unmatched_steps
            plan = unmatched if rule is None else rule.plan
            if rule is not None:
                rules.use(rule)
    except MatcherError as error:
        rule, plan = None, matcher_failed(error, context.report_failure)
    assert plan is not None
    if exchange.continued:
        plan = stacked(exchange.continued, plan)
    exchange.choose(rule, streams_body=plan.streams_body, needs_body=plan.needs_body)
    return plan


def _select(context: ServerContext, rules: RuleSet, exchange: Exchange, after: int) -> Found:
    """Return the first matching rule after the rank `after`, or what its matchers lack. Raises MatcherError."""
    view = exchange.view
    if rules.asks_user and view.answers is None:
        view.answers = {}
    if rules.defers and context.deferred_matcher is not None and view.deferral is None:
        view.deferral = deferral_of(exchange)
    return rules.select(view, after)


async def _completed(
    found: Found, context: ServerContext, rules: RuleSet, exchange: Exchange, read_more: ReadMore, after: int
) -> CompiledRule | None:
    """Return the rule, once its matchers have what they lack. Raises MatcherError."""
    while found is NEED_BODY or isinstance(found, AskUser):
        await _obtain(found, context, exchange, read_more)
        found = rules.select(exchange.view, after)
    return found


async def _obtain(missing: NeedBody | AskUser, context: ServerContext, exchange: Exchange, read_more: ReadMore) -> None:
    """Obtain what the selection lacks: the result of a user's function or of a helper, or more of the body.

    Raises MatcherError.
    """
    view = exchange.view
    if isinstance(missing, AskUser):
        assert view.answers is not None
        view.answers[missing.key] = await _call_matcher(missing, view)
        view.params = NO_PARAMS  # the selection begins again
    elif context.deferred_matcher is not None and view.deferral is not None and view.deferral.wanted:
        await detach()  # a helper is called under a timeout, and so in a task
        await context.deferred_matcher.evaluate(exchange, view.deferral)
    else:
        await read_more()
        if exchange.request_body.truncated:
            view.body_complete = True  # matchers get no more of it: they find that the body is too long


async def _call_matcher(missing: AskUser, view: RequestView) -> bool:
    """Call a `python` matcher and return its result. Raises MatcherError."""
    try:
        result = await call(missing.function, view)
    except UserError as failed:
        raise MatcherError(missing.rule_id, failed.error, failed.failure) from failed.error
    return verdict_of(result, missing.rule_id)
