"""Rules that go on: they change the request before later rules are asked, and the answer that one of them gives.

Such a rule has a `ContinuingPlan` instead of a plan. Its `edit` is called while the rule that answers is being
looked for; its other steps (`delay`, `emit` …) act in their turn before that one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.steps.answer_changes import ChangeFailed
from mockrec.engine.steps.around import Around
from mockrec.engine.steps.plan import CompiledSteps, StepHandler

More = Callable[[], Awaitable[None]]


class ContinuingPlan:
    """What a rule with `continue: true` does."""

    __slots__ = ("_changes", "acts", "needs_body", "never_blocks")

    def __init__(
        self, changes: Sequence[Around], acts: Sequence[StepHandler], *, never_blocks: bool, needs_body: bool
    ) -> None:
        """`acts` are those of its other steps; `never_blocks` and `needs_body` as for `CompiledSteps`, of these."""
        self._changes = tuple(changes)
        self.acts = tuple(acts)
        self.never_blocks = never_blocks
        self.needs_body = needs_body

    async def edit(self, exchange: Exchange, rule: CompiledRule, more: More) -> CompiledSteps | None:
        """Let later rules see another request, and have their answer changed; the plan that answers where that fails.

        `more` returns when more of the request has come.
        """
        for step in self._changes:
            if step.reads_request:
                await _whole_request(exchange, more)
            act = await step.edit_request(exchange)
            if act is not None:
                return CompiledSteps([act], never_blocks=False)
            step.change_answer(exchange, rule)
        exchange.continued = (*exchange.continued, rule)
        return None


async def _whole_request(exchange: Exchange, more: More) -> None:
    """Return when the request is complete, or longer than can be changed."""
    while not exchange.view.body_complete:
        await more()
        if exchange.request_body.truncated:
            exchange.view.body_complete = True


def stacked(continued: Sequence[CompiledRule], plan: CompiledSteps) -> CompiledSteps:
    """The plan of rules that went on and of the one that answers, in their order."""
    plans: list[ContinuingPlan] = [rule.plan for rule in continued]

    async def run(exchange: Exchange) -> None:
        try:
            for rule, before in zip(continued, plans, strict=True):
                exchange.acting_rule = rule
                for act in before.acts:
                    await act(exchange)
            exchange.acting_rule = None
            await plan.run(exchange)
        except ChangeFailed as failed:
            await failed.answer(exchange)

    never_blocks = plan.never_blocks and all(one.never_blocks for one in plans)
    needs_body = plan.needs_body or any(one.needs_body for one in plans)
    return CompiledSteps([run], never_blocks=never_blocks, streams_body=plan.streams_body, needs_body=needs_body)
