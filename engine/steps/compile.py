"""The steps of a rule → the handlers that run them. All about one kind of step is in its row (`spec.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mockrec.engine.rules import model
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.steps import (
    emit,
    faults,
    grpc,
    jsonrpc,
    llm,
    passthrough,
    python,
    reply,
    stream,
    timing,
    webhook,
    websocket,
)
from mockrec.engine.steps.around import around
from mockrec.engine.steps.continuing import ContinuingPlan
from mockrec.engine.steps.plan import CompiledSteps, StepHandler
from mockrec.engine.steps.spec import CompileContext, StepSpec

_MODULES: Final = (emit, faults, grpc, jsonrpc, llm, passthrough, python, reply, stream, timing, webhook, websocket)


def _replay(step: model.Replay, context: CompileContext) -> StepHandler:
    assert context.replay is not None
    return context.replay(step, context)


_REPLAY: Final = StepSpec(
    model.Replay,
    _replay,
    never_blocks=False,
    needs_body=True,
    streams_body=lambda step: step.on_miss != "fail",
)
"""The row of `replay` stands here because its code, in `engine/replay/serve`, is above that of all steps."""


def table_of(rows: Iterable[StepSpec[Any]], steps: Iterable[type[model.Step]]) -> dict[type[model.Step], StepSpec[Any]]:
    """The row of each step. Raises TypeError unless each of `steps` has exactly one."""
    table: dict[type[model.Step], StepSpec[Any]] = {}
    for row in rows:
        if row.model in table:
            raise TypeError(f"the step {row.model.name} has two rows")
        table[row.model] = row
    if missing := sorted(step.name for step in steps if step not in table):
        raise TypeError(f"no row (StepSpec) for the step {', '.join(missing)}")
    return table


_STEPS: Final = [
    kind
    for kind in vars(model).values()
    if isinstance(kind, type) and issubclass(kind, model.Step) and kind not in (model.Step, model.Change)
]
"""All steps of the rule language but `change`, which handles no exchange itself: `continuing_plan` compiles it."""

SPECS: Final = table_of([_REPLAY, *(row for module in _MODULES for row in module.STEPS)], _STEPS)
"""The row of each step."""


def compile_rules(rules: Iterable[model.Rule], context: CompileContext) -> RuleSet:
    """A rule set whose rules have their plans. Raises ConfigError if a handler cannot be loaded."""
    rule_set = RuleSet(rules, context.handlers.resolve)
    for compiled in rule_set.rules:
        rule = compiled.rule
        compiled.plan = continuing_plan(rule.steps, context) if rule.continues else plan_of(rule.steps, context)
    return rule_set


def plan_of(steps: Iterable[model.Step], context: CompileContext) -> CompiledSteps:
    """The plan of a rule that responds."""
    rows = [(_spec(step), step) for step in steps]
    return CompiledSteps(
        [spec.compile(step, context) for spec, step in rows],
        never_blocks=not any(spec.blocks(step) for spec, step in rows),
        streams_body=any(spec.forwards_body(step) for spec, step in rows),
        needs_body=any(spec.reads_body(step) for spec, step in rows),
    )


def continuing_plan(steps: Iterable[model.Step], context: CompileContext) -> ContinuingPlan:
    """The plan of a rule with `continue: true`."""
    steps = tuple(steps)
    rows = [(_spec(step), step) for step in steps if not isinstance(step, model.Change)]
    return ContinuingPlan(
        [around(step, context) for step in steps if isinstance(step, model.Change)],
        [spec.compile(step, context) for spec, step in rows],
        never_blocks=not any(spec.blocks(step) for spec, step in rows),
        needs_body=any(spec.reads_body(step) for spec, step in rows),
    )


def _spec(step: model.Step) -> StepSpec[Any]:
    spec = SPECS.get(type(step))
    if spec is None:
        raise AssertionError(f"the language lets no {step.name} pass")
    return spec
