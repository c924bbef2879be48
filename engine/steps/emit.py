"""The step `emit`: logs a rule-event of the user's own."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Emit
from mockrec.engine.rules.templates.template import TemplateError, compile_template, compile_tree
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.template_scope import TemplateScopes, let_others


def emit_handler(step: Emit, scopes: TemplateScopes) -> StepHandler:
    """Log the event; if a template fails, log that instead, and let the rule continue."""
    kind = compile_template(step.type, step.place)
    data = compile_tree(step.data, step.place)
    is_static = kind.is_static and data.is_static

    async def handle(exchange: Exchange) -> None:
        if is_static:
            exchange.log.rule_event(exchange, step.type, step.data)
            return
        await exchange.wait_for_body()
        scope = scopes.of(exchange)
        try:
            exchange.log.rule_event(exchange, kind.render(scope), data.render(scope))
        except TemplateError as error:
            exchange.log.rule_event(
                exchange,
                "template-error",
                {"message": error.message, "file": step.place.file, "line": error.place_line},
            )
        await let_others(scope)

    return handle


STEPS = (StepSpec(Emit, lambda step, context: emit_handler(step, context.scopes), never_blocks=True, needs_body=True),)
