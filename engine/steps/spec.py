"""A step is one row: how a step of the rule language is compiled, and what dispatch must know before it runs.

Each module of steps declares its rows next to its code, as `STEPS`; `compile.py` looks them up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from mockrec.engine.config import Limits
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.rules import model
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.template_scope import TemplateScopes
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.usercode.failure import Failure

StepModel = TypeVar("StepModel", bound=model.Step)


class CompileContext(msgspec.Struct, frozen=True):
    """What the steps of a run share beyond their exchange."""

    handlers: Handlers
    webhooks: Webhooks
    upstream_client: UpstreamClient
    options: UpstreamOptions
    """How servers are reached where a step does not say otherwise."""
    random: random.Random = msgspec.field(default_factory=random.Random)
    replay: Callable[[model.Replay, CompileContext], StepHandler] | None = None
    """Compiles the step `replay`, whose code stands above that of the other steps."""
    report_failure: Callable[[Failure], None] = msgspec.field(default=lambda failure: None)
    """Called with each failure of a user's function."""
    limits: Limits = msgspec.field(default_factory=Limits)
    """What rendering a template may cost."""
    websocket: SocketSettings = msgspec.field(default_factory=SocketSettings)

    @property
    def scopes(self) -> TemplateScopes:
        """The scopes of templates, within the limits of the run."""
        return TemplateScopes(self.random, self.limits)


class StepSpec(msgspec.Struct, Generic[StepModel], frozen=True):
    """One kind of step. No flag has a default, so that each row states what it promises."""

    model: type[StepModel]
    """The step as the rule language declares it (`rules/model/`)."""
    compile: Callable[[StepModel, CompileContext], StepHandler]
    """Returns the handler of one step of a rule. Raises ConfigError for a step that cannot be used."""
    never_blocks: bool | Callable[[StepModel], bool]
    """Whether the handler of a complete request waits only for the client to read: dispatch may then run it without
    a task of its own."""
    needs_body: bool | Callable[[StepModel], bool]
    """Whether the handler may need the whole request body in memory. Passing it on as it arrives does not."""
    streams_body: bool | Callable[[StepModel], bool] = False
    """Whether the handler forwards the request body while it arrives."""

    def blocks(self, step: Any) -> bool:
        """Whether the handler of this step may wait for something else than the client."""
        return not (self.never_blocks(step) if callable(self.never_blocks) else self.never_blocks)

    def forwards_body(self, step: Any) -> bool:
        """Whether the handler of this step forwards the request body while it arrives."""
        return self.streams_body(step) if callable(self.streams_body) else self.streams_body

    def reads_body(self, step: Any) -> bool:
        """Whether the handler of this step may need the whole request body."""
        return self.needs_body(step) if callable(self.needs_body) else self.needs_body
