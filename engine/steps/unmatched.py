"""Requests that no rule matches: they get a 503 that says why and what would match, or are passed on."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.explain.explain import explain_miss
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Forward, Passthrough, SourceLocation
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.grpc import grpc_failure
from mockrec.engine.steps.passthrough import passthrough_handler
from mockrec.engine.steps.plan import CompiledSteps, StepHandler
from mockrec.engine.steps.spec import CompileContext

UNMATCHED = "unmatched"
UPSTREAM = "upstream"
"""The id in the log instead of a rule's, for requests that are passed on without a rule."""
_NOWHERE = SourceLocation("", 0, 0, "")


def explain_plan(rules: Callable[[], RuleSet]) -> CompiledSteps:
    """The plan that responds 503. `rules` returns the rules in force at that moment."""
    return CompiledSteps([_explaining(rules)], never_blocks=True)


def passing_plan(
    rules: Callable[[], RuleSet],
    context: CompileContext,
    is_own: Callable[[str, int], bool],
    *,
    others: bool,
    upstream: tuple[str, str, int] | None,
) -> CompiledSteps:
    """The plan that passes requests on. Those for this recorder go to `upstream` (protocol, host, port), or get the 503
    if there is none; those for other servers go there if `others` is true, or get the 503."""
    explain = _explaining(rules)
    to_others = explain
    if others:
        step = Passthrough(_NOWHERE)
        to_others = passthrough_handler(step, context, context.options, rule_id=UNMATCHED, on_loop=explain)
    for_us = explain
    if upstream is not None:
        protocol, host, port = upstream
        forward = Forward(_NOWHERE, to_protocol=protocol, to_host=host, to_port=port)
        for_us = passthrough_handler(forward, context, context.options, rule_id=UPSTREAM)

    async def handle(exchange: Exchange) -> None:
        address = exchange.effective_target
        direct = not address.is_absolute and address.context.tunnel is None
        # A reverse proxy takes every request that is not made to a proxy, whatever name the client has for it.
        ours = is_own(address.hostname.strip("[]"), address.port) or (direct and upstream is not None)
        await (for_us if ours else to_others)(exchange)

    return CompiledSteps([handle], never_blocks=False, streams_body=True, needs_body=False)


def _explaining(rules: Callable[[], RuleSet]) -> StepHandler:
    async def handle(exchange: Exchange) -> None:
        exchange.unmatched = True
        text = explain_miss(exchange.view, rules(), exchange.continued)
        response = grpc_failure(exchange.view, text)
        if response is None:
            response = PreparedResponse(503, (TEXT_TYPE,), text.encode("utf-8", "replace"), is_own=True)
        await exchange.reply(response)

    return handle
