"""Every step of the language is done by something; rule sets get plans."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.rules import model
from mockrec.engine.rules.model import BodySource, Malformed, Reply, SourceLocation
from mockrec.engine.steps.compile import SPECS, compile_rules, plan_of, table_of
from mockrec.engine.steps.faults import close
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.spec import CompileContext, StepSpec
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.options import UpstreamOptions

pytestmark = pytest.mark.anyio

ENGINE = Path(model.__file__).parents[2]
PLACE = SourceLocation("rules.yaml", 1, 1, "")
KINDS = [
    kind
    for _, kind in inspect.getmembers(model, inspect.isclass)
    if issubclass(kind, model.Step) and kind is not model.Step
]
SLOW = {"stream", "python", "timeout", "delay", "passthrough", "forward", "echo", "listen", "script", "replay", "llm"}


async def _no_network(address: str, port: int) -> Any:
    raise AssertionError(f"nobody connects to {address}:{port} here")


def offline() -> tuple[UpstreamClient, UpstreamOptions]:
    """The way to servers, of which there are none."""
    return UpstreamClient(Dialer(_no_network, ClientContexts(), lambda host, port: False), 1 << 20), UpstreamOptions(
        UpstreamSettings()
    )


@pytest.fixture
def tools(tmp_path: Path) -> CompileContext:
    (tmp_path / "handlers.py").write_text("def answer(request): ...\ndef matches(request): return True\n")

    async def replayed(exchange: Any) -> None: ...

    client, options = offline()
    return CompileContext(Handlers(), Webhooks(client.dialer), client, options, replay=lambda step, context: replayed)


def test_the_language_has_these_steps() -> None:
    assert {kind.name for kind in KINDS} == {
        "reply", "stream", "jsonRpc", "grpc", "llm", "python", "close", "reset", "timeout", "malformed",
        "delay", "waitForBody", "informational", "webhook", "emit", "passthrough", "forward", "echo", "listen", "reject", "script", "replay", "change",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not model.Change], ids=lambda kind: kind.name)
def test_every_step_has_an_act_and_is_quick_or_not(kind: Any, tools: CompileContext, tmp_path: Path) -> None:
    more = {"handler": f"{tmp_path}/handlers.py:answer"} if kind is model.Python else {}
    if kind is model.Reject:
        more = {"reply": Reply(PLACE)}
    plan = plan_of([kind(PLACE, **more)], tools)
    assert inspect.iscoroutinefunction(plan.run)
    assert plan.never_blocks == (kind.name not in SLOW)


def test_what_is_no_step_of_the_language_is_never_compiled(tools: CompileContext) -> None:
    with pytest.raises(AssertionError, match="lets no"):
        plan_of([model.Step(PLACE)], tools)


def test_a_step_without_a_row_is_a_defect_that_no_import_survives() -> None:
    class Teapot(model.Step):
        name = "teapot"

    with pytest.raises(TypeError, match=r"no row \(StepSpec\) for the step teapot"):
        table_of(SPECS.values(), [*KINDS[1:3], Teapot])
    with pytest.raises(TypeError, match="the step close has two rows"):
        table_of([*SPECS.values(), SPECS[model.Close]], [])


def test_a_row_without_a_flag_is_a_defect() -> None:
    with pytest.raises(TypeError, match="needs_body"):
        StepSpec(model.Close, lambda step, context: close, never_blocks=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["Close", "Emit", "JsonRpc", "Timeout", "WaitForBody", "Webhook"])
def test_adding_a_step_touches_four_files_of_the_engine(name: str) -> None:
    """CONTRIBUTING names them: the model, the language, its phrase for people, and its code with its row."""
    modules = [path for path in ENGINE.rglob("*.py") if path.name != "__init__.py"]  # where names are passed on only
    files = sorted(str(path.relative_to(ENGINE)) for path in modules if name in names_in(path))
    code = [path for path in files if path.startswith("steps/")]
    assert (len(code), len(files) <= 4) == (1, True), files


def names_in(path: Path) -> set[str]:
    """The names that a module uses, defines or imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, (ast.ClassDef, ast.alias)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def test_one_slow_step_makes_a_plan_slow(tools: CompileContext) -> None:
    reply = Reply(PLACE)
    assert plan_of([model.WaitForBody(PLACE), reply], tools).never_blocks
    assert not plan_of([model.Delay(PLACE, fixed=1.0), reply], tools).never_blocks


def test_reading_a_file_is_slow(tools: CompileContext) -> None:
    reply = Reply(PLACE, body=BodySource(file="/x"))
    assert not plan_of([reply], tools).never_blocks
    assert not plan_of([Malformed(PLACE, truncate_after=1, reply=reply)], tools).never_blocks
    assert plan_of([Malformed(PLACE, truncate_after=1, reply=Reply(PLACE))], tools).never_blocks


async def test_steps_act_in_turn(stage: Any, steps: Any) -> None:
    await steps.run(stage, "- informational: {status: 102}\n- emit: {type: t}\n- reply: {}")
    assert [sent[0] for sent in stage.channel.done] == ["interim", "whole"]
    assert stage.log.types[-3:-1] == ["response-initiated", "response-body-data"]
    assert stage.log.types.index("response-information") < stage.log.types.index("rule-event")


def test_a_rule_set_gets_plans_and_functions(rule_files: Any, tools: CompileContext, tmp_path: Path) -> None:
    rule_files.files[f"{tmp_path}/handlers.py"] = b""
    text = f"version: 1\nrules:\n  - when: {{python: '{tmp_path}/handlers.py:matches'}}\n    then: close\n  - then: reset\n"
    rules = compile_rules(rule_files.load(text).rule_file.rules, tools)
    assert [rule.plan.never_blocks for rule in rules.rules] == [True, True]


@pytest.mark.parametrize("where", ["when", "then"])
def test_a_function_that_is_missing_is_told_before_anything_starts(
    rule_files: Any, tools: CompileContext, tmp_path: Path, where: str
) -> None:
    rule_files.files[f"{tmp_path}/handlers.py"] = b""
    then = "" if where == "then" else "\n    then: close"
    text = f"version: 1\nrules:\n  - {where}: {{python: '{tmp_path}/handlers.py:none'}}{then}\n"
    with pytest.raises(ConfigError, match="there is no function none; there are answer, matches"):
        compile_rules(rule_files.load(text).rule_file.rules, tools)


@pytest.mark.parametrize(
    ("step", "needs_body"),
    [
        (model.Python(PLACE, handler="handlers.py:answer"), True),
        (model.JsonRpc(PLACE), True),
        (model.Reply(PLACE), False),
        (model.Reply(PLACE, template=True), True),
        (model.Malformed(PLACE, reply=Reply(PLACE, template=True)), True),
        (model.Malformed(PLACE, raw=b"x"), False),
        (model.Passthrough(PLACE), False),
        (model.Passthrough(PLACE, request=model.RequestChanges(body=model.BodyChange(data=b"new"))), False),
        (model.Passthrough(PLACE, request=model.RequestChanges(body=model.BodyChange(match_replace=()))), True),
        (model.Webhook(PLACE, url="http://a.test/"), True),
        (model.Webhook(PLACE, url="http://a.test/", events=("response",)), False),
        (model.Delay(PLACE, fixed=0.1), False),
    ],
)
async def test_who_looks_at_the_request_body(step: model.Step, needs_body: bool) -> None:
    """For the others, a long one is not held in memory."""
    assert SPECS[type(step)].reads_body(step) is needs_body
