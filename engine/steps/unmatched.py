"""What happens to a request that no rule matches: a 503 that says why and what would match, or it is passed on."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.explain.explain import explain_miss
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Forward, Passthrough, SourceLocation
from mockrec.engine.steps.compile import CompileContext
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.passthrough import passthrough_act
from mockrec.engine.steps.plan import CompiledSteps, StepHandler

UNMATCHED = "unmatched"
UPSTREAM = "upstream"
"""What stands for a rule's id in the log where none says that a request is passed on."""
_NOWHERE = SourceLocation("", 0, 0, "")


def explain_plan(rules: Callable[[], RuleSet]) -> CompiledSteps:
    """`rules` gives the rules in force at the moment of the miss."""
    return CompiledSteps([_explaining(rules)], never_blocks=True)


def passing_plan(
    rules: Callable[[], RuleSet],
    tools: CompileContext,
    is_own: Callable[[str, int], bool],
    *,
    others: bool,
    upstream: tuple[str, str, int] | None,
) -> CompiledSteps:
    """Requests for this recorder go to `upstream` (protocol, host, port), or get the 503 if there is none; those for
    other servers go there if `others` says so, or get the 503."""
    explain = _explaining(rules)
    dice, upstream_client, options = tools.random, tools.upstream_client, tools.options
    to_others = explain
    if others:
        step = Passthrough(_NOWHERE)
        to_others = passthrough_act(step, options, upstream_client, dice, name=UNMATCHED, on_loop=explain)
    for_us = explain
    if upstream is not None:
        protocol, host, port = upstream
        forward = Forward(_NOWHERE, to_protocol=protocol, to_host=host, to_port=port)
        for_us = passthrough_act(forward, options, upstream_client, dice, name=UPSTREAM)

    async def act(exchange: Exchange) -> None:
        address = exchange.effective_target
        direct = not address.is_absolute and address.context.tunnel is None
        # Before a server, everything that is not said to a proxy is for us, whatever name clients have for us.
        ours = is_own(address.hostname.strip("[]"), address.port) or (direct and upstream is not None)
        await (for_us if ours else to_others)(exchange)

    return CompiledSteps([act], never_blocks=False, streams_body=True, needs_body=False)


def _explaining(rules: Callable[[], RuleSet]) -> StepHandler:
    async def act(exchange: Exchange) -> None:
        exchange.unmatched = True
        text = explain_miss(exchange.view, rules(), exchange.continued)
        await exchange.reply(PreparedResponse(503, (TEXT_TYPE,), text.encode("utf-8", "replace"), is_own=True))

    return act
