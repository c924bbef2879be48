"""The step `emit`: a rule-event of the user's own."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Emit
from mockrec.engine.rules.templates.template import TemplateError, compile_template, compile_tree
from mockrec.engine.steps.context import Contexts, let_others
from mockrec.engine.steps.plan import StepHandler


def emit_act(step: Emit, contexts: Contexts) -> StepHandler:
    """Records the event; a template that fails is recorded instead, and the rule goes on."""
    kind = compile_template(step.type, step.place)
    data = compile_tree(step.data, step.place)
    is_static = kind.is_static and data.is_static

    async def act(exchange: Exchange) -> None:
        if is_static:
            exchange.log.rule_event(exchange, step.type, step.data)
            return
        await exchange.wait_for_body()
        scope = contexts.of(exchange)
        try:
            exchange.log.rule_event(exchange, kind.render(scope), data.render(scope))
        except TemplateError as error:
            exchange.log.rule_event(
                exchange,
                "template-error",
                {"message": error.message, "file": step.place.file, "line": error.place_line},
            )
        await let_others(scope)

    return act
