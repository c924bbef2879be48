"""Rules that go on: they change the request before later rules are asked, and the answer that one of them gives.

Such a rule has a `ContinuingPlan` instead of a plan. Its `edit` is called while the rule that answers is being
looked for; its other steps (`delay`, `emit` …) act in their turn before that one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.offload.pool import TooLong
from mockrec.engine.rules.model import Change, RequestChanges, ResponseChanges
from mockrec.engine.rules.select import CompiledRule
from mockrec.engine.steps.answer_changes import AnswerChanges, ChangeFailed, Layer
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.plan import Act, Plan
from mockrec.engine.steps.request_changes import edited_request, needs_body
from mockrec.engine.steps.transform import TransformError
from mockrec.engine.upstream.gateway import Gateway

More = Callable[[], Awaitable[None]]


class ContinuingPlan:
    """What a rule with `continue: true` does."""

    __slots__ = ("_changes", "_gateway", "acts", "is_quick", "reads")

    def __init__(
        self, changes: Sequence[Change], acts: Sequence[Act], gateway: Gateway, *, is_quick: bool, reads: bool
    ) -> None:
        """`acts` are those of its other steps; `is_quick` and `reads` as for `Plan`, of these."""
        self._changes = tuple(changes)
        self._gateway = gateway
        self.acts = tuple(acts)
        self.is_quick = is_quick
        self.reads = reads

    async def edit(self, exchange: Exchange, rule: CompiledRule, more: More) -> Plan | None:
        """Let later rules see another request, and have their answer changed; the plan that answers where that fails.

        `more` returns when more of the request has come.
        """
        for step in self._changes:
            if step.request != RequestChanges():
                if needs_body(step.request.body):
                    await _whole_request(exchange, more)
                try:
                    exchange.edit(await edited_request(exchange, step.request, step.place.where, self._gateway))
                except (TransformError, TooLong) as error:
                    return _failing(f"the request cannot be changed: {error}")
            if step.response != ResponseChanges():
                if exchange.changing is None:
                    exchange.changing = AnswerChanges(self._gateway)
                assert isinstance(exchange.changing, AnswerChanges)
                exchange.changing.add(Layer(step.place, step.response), rule)
        exchange.continued = (*exchange.continued, rule)
        return None


async def _whole_request(exchange: Exchange, more: More) -> None:
    """Return when the request is complete, or longer than can be changed."""
    while not exchange.view.body_complete:
        await more()
        if exchange.request_body.truncated:
            exchange.view.body_complete = True


def _failing(message: str) -> Plan:
    async def act(exchange: Exchange) -> None:
        exchange.changing = None
        await reply_failure(exchange, message)

    return Plan([act], is_quick=True)


def stacked(continued: Sequence[CompiledRule], plan: Plan) -> Plan:
    """The plan of rules that went on and of the one that answers, in their order."""
    plans: list[ContinuingPlan] = [rule.plan for rule in continued]

    async def run(exchange: Exchange) -> None:
        try:
            for rule, before in zip(continued, plans, strict=True):
                exchange.acting = rule
                for act in before.acts:
                    await act(exchange)
            exchange.acting = None
            await plan.run(exchange)
        except ChangeFailed as failed:
            await failed.answer(exchange)

    is_quick = plan.is_quick and all(one.is_quick for one in plans)
    reads = plan.reads or any(one.reads for one in plans)
    return Plan([run], is_quick=is_quick, forwards=plan.forwards, reads=reads)
