"""The step `emit`: a rule-event of the user's own."""

from __future__ import annotations

import random

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Emit
from mockrec.engine.rules.template import TemplateError, compile_template, compile_tree
from mockrec.engine.steps.context import template_context
from mockrec.engine.steps.plan import Act


def emit_act(step: Emit, dice: random.Random) -> Act:
    """Records the event; a template that fails is recorded instead, and the rule goes on."""
    kind = compile_template(step.type, step.place)
    data = compile_tree(step.data, step.place)
    is_static = kind.is_static and data.is_static

    async def act(exchange: Exchange) -> None:
        if is_static:
            exchange.notes.rule_event(exchange, step.type, step.data)
            return
        await exchange.wait_for_body()
        context = template_context(exchange, dice)
        try:
            exchange.notes.rule_event(exchange, kind.render(context), data.render(context))
        except TemplateError as error:
            exchange.notes.rule_event(
                exchange,
                "template-error",
                {"message": error.message, "file": step.place.file, "line": error.place_line},
            )

    return act
