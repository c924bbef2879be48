"""Rules with `continue: true`: they change the request before later rules are matched, and the response of that one
which responds.

Such a rule has a `ContinuingPlan` instead of `CompiledSteps`. Its `edit` is called while the rule that responds is
being selected; its other steps (`delay`, `emit` …) run in their order before the steps of that rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.steps.around import Around
from mockrec.engine.steps.plan import CompiledSteps, StepHandler
from mockrec.engine.steps.response_layers import ChangeFailed

More = Callable[[], Awaitable[None]]


class ContinuingPlan:
    """The compiled steps of a rule with `continue: true`."""

    __slots__ = ("_changes", "handlers", "needs_body", "never_blocks")

    def __init__(
        self, changes: Sequence[Around], handlers: Sequence[StepHandler], *, never_blocks: bool, needs_body: bool
    ) -> None:
        """`handlers` are those of the other steps, to which `never_blocks` and `needs_body` refer (`CompiledSteps`)."""
        self._changes = tuple(changes)
        self.handlers = tuple(handlers)
        self.never_blocks = never_blocks
        self.needs_body = needs_body

    async def edit(self, exchange: Exchange, rule: CompiledRule, more: More) -> CompiledSteps | None:
        """Change the request for later rules, and have their response changed. Return the plan that responds
        if that fails or a user function responds; None otherwise.

        `more` returns when more of the request has arrived.
        """
        for step in self._changes:
            if step.reads_request:
                await _whole_request(exchange, more)
            instead = await step.edit_request(exchange)
            if instead is not None:
                return CompiledSteps([instead], never_blocks=False)
            step.change_response(exchange, rule)
        exchange.continued = (*exchange.continued, rule)
        return None


async def _whole_request(exchange: Exchange, more: More) -> None:
    """Return when the request is complete, or too long to be changed."""
    while not exchange.view.body_complete:
        await more()
        if exchange.request_body.truncated:
            exchange.view.body_complete = True


def stacked(continued: Sequence[CompiledRule], plan: CompiledSteps) -> CompiledSteps:
    """The plan of rules with `continue: true` and of the one that responds, in their order."""
    plans: list[ContinuingPlan] = [rule.plan for rule in continued]

    async def run(exchange: Exchange) -> None:
        try:
            for rule, before in zip(continued, plans, strict=True):
                exchange.acting_rule = rule
                for handle in before.handlers:
                    await handle(exchange)
            exchange.acting_rule = None
            await plan.run(exchange)
        except ChangeFailed as failed:
            await failed.respond(exchange)

    never_blocks = plan.never_blocks and all(one.never_blocks for one in plans)
    needs_body = plan.needs_body or any(one.needs_body for one in plans)
    return CompiledSteps([run], never_blocks=never_blocks, streams_body=plan.streams_body, needs_body=needs_body)
