"""Steps of the rule language → acts. The table of who does what."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec

from mockrec.engine.config import Limits, UpstreamSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.rules import model
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.steps import emit, faults, jsonrpc, passthrough, python, reply, stream, timing, websocket
from mockrec.engine.steps.around import Around
from mockrec.engine.steps.context import Contexts
from mockrec.engine.steps.continuing import ContinuingPlan
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.hooked import hooked_passthrough
from mockrec.engine.steps.hooks import Hook
from mockrec.engine.steps.plan import CompiledSteps, StepHandler
from mockrec.engine.steps.request_changes import needs_body
from mockrec.engine.steps.webhook import Webhooks, webhook_act
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.pac import MISSING
from mockrec.engine.upstream.resolve import read_server
from mockrec.engine.usercode.failure import Failure

_SLOW = (
    model.Stream,
    model.Python,
    model.Timeout,
    model.Delay,
    model.Passthrough,
    model.Echo,
    model.Listen,
    model.Script,
    model.Replay,
)
"""Steps that wait for something else than the request."""
_BLIND = (
    model.Stream,
    model.Close,
    model.Reset,
    model.Timeout,
    model.Delay,
    model.WaitForBody,
    model.Informational,
)
"""Steps that never look at the request body."""


@dataclass(frozen=True, slots=True)
class CompileContext:
    """What acts share beyond their exchange."""

    handlers: Handlers
    webhooks: Webhooks
    upstream_client: UpstreamClient
    options: UpstreamOptions
    """The way to servers where a step says nothing else."""
    random: random.Random = field(default_factory=random.Random)
    replay: Callable[[model.Replay], StepHandler] | None = None
    """Makes the act of the step `replay`, which knows more than steps do."""
    report_failure: Callable[[Failure], None] = field(default=lambda failure: None)
    """Told of the user's functions that fail."""
    limits: Limits = field(default_factory=Limits)
    """What templates may cost."""


def compile_rules(rules: Iterable[model.Rule], tools: CompileContext) -> RuleSet:
    """A rule set whose rules have their plans. Raises ConfigError if a handler cannot be loaded."""
    rule_set = RuleSet(rules, tools.handlers.resolve)
    for compiled in rule_set.rules:
        rule = compiled.rule
        compiled.plan = continuing_plan(rule.steps, tools) if rule.continues else plan_of(rule.steps, tools)
    return rule_set


def continuing_plan(steps: Iterable[model.Step], tools: CompileContext) -> ContinuingPlan:
    """The plan of a rule that goes on."""
    changes = [step for step in steps if isinstance(step, model.Change)]
    others = [step for step in steps if not isinstance(step, model.Change)]
    return ContinuingPlan(
        [_around(step, tools) for step in changes],
        [_act(step, tools) for step in others],
        never_blocks=not any(isinstance(step, _SLOW) for step in others),
        needs_body=any(map(_reads_request, others)),
    )


def _around(step: model.Change | model.Passthrough, tools: CompileContext) -> Around:
    names = step.request.python, step.response.python
    before, after = [
        None if name is None else Hook(tools.handlers.resolve(name), tools.report_failure) for name in names
    ]
    return Around(step.place, step.request, step.response, tools.upstream_client, before, after)


def _passthrough(step: model.Passthrough, tools: CompileContext) -> StepHandler:
    options = _options(step, tools)
    plain = partial(
        passthrough.passthrough_act, options=options, upstream_client=tools.upstream_client, dice=tools.random
    )
    hooks = step.request.python, step.response.python
    return plain(step) if hooks == (None, None) else hooked_passthrough(step, _around(step, tools), plain)


def plan_of(steps: Iterable[model.Step], tools: CompileContext) -> CompiledSteps:
    """The plan of a rule's steps."""
    steps = tuple(steps)
    never_blocks = not any(isinstance(step, _SLOW) or _reads_file(step) for step in steps)
    streams_body = any(isinstance(step, model.Passthrough) for step in steps)
    acts = [_act(step, tools) for step in steps]
    return CompiledSteps(
        acts, never_blocks=never_blocks, streams_body=streams_body, needs_body=any(map(_reads_request, steps))
    )


def _options(step: model.Passthrough, tools: CompileContext) -> UpstreamOptions:
    """The run's options, with the step's own put over them. Raises ConfigError."""
    if not step.upstream:
        return tools.options
    settings = tools.options.settings
    if "proxy" in step.upstream:
        settings = replace(settings, pac=None, secure_proxy=None)
    return options_of(replace(settings, **step.upstream), tools.upstream_client, f"{step.place.where}: ")


def options_of(settings: UpstreamSettings, upstream_client: UpstreamClient, where: str = "") -> UpstreamOptions:
    """Options that can be used: files are there, URLs are URLs. Raises ConfigError."""
    try:
        options = UpstreamOptions(settings)
        if settings.pac is not None and find_spec("dukpy") is None:
            raise ConfigError(f"upstream.proxy: {MISSING}")
        upstream_client.dialer.check(options)
        for server in settings.dns_servers:
            read_server(server)
    except ValueError as error:
        raise ConfigError(f"{where}upstream.proxy: {error}") from None
    except UpstreamError as error:
        raise ConfigError(f"{where}upstream.dnsServers: {error}; write address or address:port") from None
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
    return options


def _reads_file(step: model.Step) -> bool:
    reply = step.reply if isinstance(step, model.Malformed) else step
    return isinstance(reply, model.Reply) and (reply.body.file is not None or reply.body.folder is not None)


def _reads_request(step: model.Step) -> bool:
    """Whether a step may look at the whole request body. Passing it on piece by piece is no looking."""
    match step:
        case model.Passthrough():
            return needs_body(step.request.body) or step.request.python is not None
        case model.Reply():
            return step.template
        case model.Malformed():
            return step.reply is not None and step.reply.template
        case model.Webhook():
            return "request" in step.events
    return not isinstance(step, _BLIND)


def _act(step: model.Step, tools: CompileContext) -> StepHandler:
    contexts = Contexts(tools.random, tools.limits)
    match step:
        case model.Passthrough():
            return _passthrough(step, tools)
        case model.Reply():
            return reply.reply_act(step, contexts)
        case model.Stream():
            return stream.stream_act(step)
        case model.JsonRpc():
            return jsonrpc.json_rpc_act(step, tools.upstream_client.helpers)
        case model.Python():
            return python.python_act(tools.handlers.resolve(step.handler), tools.report_failure)
        case model.Echo():
            return websocket.echo_act(tools.upstream_client.limits)
        case model.Listen():
            return websocket.listen_act(tools.upstream_client.limits)
        case model.Reject():
            return websocket.reject_act(step, contexts)
        case model.Script():
            return websocket.script_act(step, tools.upstream_client.limits, tools.upstream_client.helpers)
        case model.Close():
            return faults.close
        case model.Reset():
            return faults.reset
        case model.Timeout():
            return faults.never_answer
        case model.Malformed():
            return faults.malformed_act(step, contexts)
        case model.Delay():
            return timing.delay_act(step, tools.random)
        case model.WaitForBody():
            return timing.wait_for_body
        case model.Informational():
            return timing.informational_act(step)
        case model.Webhook():
            return webhook_act(step, tools.webhooks)
        case model.Emit():
            return emit.emit_act(step, contexts)
        case model.Replay():
            assert tools.replay is not None
            return tools.replay(step)
    raise AssertionError(f"the language lets no {step.name} pass")
