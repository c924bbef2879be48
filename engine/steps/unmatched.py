"""What happens to a request that no rule matches: a 503 that says why and what would match, or it is passed on."""

from __future__ import annotations

from collections.abc import Callable

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import Answer
from mockrec.engine.rules.explain.explain import explain_miss
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Forward, Passthrough, Place
from mockrec.engine.steps.compile import Tools
from mockrec.engine.steps.failures import TEXT_TYPE
from mockrec.engine.steps.passthrough import passthrough_act
from mockrec.engine.steps.plan import Act, Plan

UNMATCHED = "unmatched"
UPSTREAM = "upstream"
"""What stands for a rule's id in the log where none says that a request is passed on."""
_NOWHERE = Place("", 0, 0, "")


def explain_plan(rules: Callable[[], RuleSet]) -> Plan:
    """`rules` gives the rules in force at the moment of the miss."""
    return Plan([_explaining(rules)], is_quick=True)


def passing_plan(
    rules: Callable[[], RuleSet],
    tools: Tools,
    is_own: Callable[[str, int], bool],
    *,
    others: bool,
    upstream: tuple[str, str, int] | None,
) -> Plan:
    """Requests for this recorder go to `upstream` (protocol, host, port), or get the 503 if there is none; those for
    other servers go there if `others` says so, or get the 503."""
    explain = _explaining(rules)
    dice, gateway, options = tools.random, tools.gateway, tools.options
    to_others = explain
    if others:
        step = Passthrough(_NOWHERE)
        to_others = passthrough_act(step, options, gateway, dice, name=UNMATCHED, on_loop=explain)
    for_us = explain
    if upstream is not None:
        protocol, host, port = upstream
        forward = Forward(_NOWHERE, to_protocol=protocol, to_host=host, to_port=port)
        for_us = passthrough_act(forward, options, gateway, dice, name=UPSTREAM)

    async def act(exchange: Exchange) -> None:
        address = exchange.asked
        direct = not address.is_absolute and address.origin.tunnel is None
        # Before a server, everything that is not said to a proxy is for us, whatever name clients have for us.
        ours = is_own(address.hostname.strip("[]"), address.port) or (direct and upstream is not None)
        await (for_us if ours else to_others)(exchange)

    return Plan([act], is_quick=False, forwards=True, reads=False)


def _explaining(rules: Callable[[], RuleSet]) -> Act:
    async def act(exchange: Exchange) -> None:
        exchange.unmatched = True
        text = explain_miss(exchange.view, rules(), exchange.continued)
        await exchange.reply(Answer(503, (TEXT_TYPE,), text.encode("utf-8", "replace"), is_own=True))

    return act
