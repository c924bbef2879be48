"""The changes that a step makes around the step that responds: to the request before it, to the response after it, each
also by a function of the user's."""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec.structs import replace

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.offload.pool import TooLong
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.model import Change, Passthrough, RequestChanges, ResponseChanges, SourceLocation
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.hooks import Hook, RequestEdit
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.python import reply_with, user_failed
from mockrec.engine.steps.request_changes import edited_request, needs_body
from mockrec.engine.steps.response_layers import Layer, ResponseLayers
from mockrec.engine.steps.spec import CompileContext
from mockrec.engine.steps.transform import TransformError
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.usercode.failure import UserError


class Around(msgspec.Struct, frozen=True):
    """The changes of one step, with the functions that they name."""

    place: SourceLocation
    request: RequestChanges
    response: ResponseChanges
    upstream_client: UpstreamClient
    request_hook: Hook | None = None
    response_hook: Hook | None = None

    @property
    def reads_request(self) -> bool:
        """Whether the request has to be complete before it is changed."""
        return needs_body(self.request.body) or self.request_hook is not None

    async def edit_request(self, exchange: Exchange) -> StepHandler | None:
        """Change the request for later rules and servers. Return the handler that responds if that fails, or if the
        user's function gives a response; None otherwise."""
        try:
            if replace(self.request, python=None) != RequestChanges():
                exchange.edit(await edited_request(exchange, self.request, self.place.where, self.upstream_client))
            return None if self.request_hook is None else await self._hooked(self.request_hook, exchange)
        except (TransformError, TooLong) as error:
            return partial(reply_failure, message=f"the request cannot be changed: {error}")
        except UserError as failed:
            assert self.request_hook is not None
            return partial(user_failed, failed=failed, report=self.request_hook.report)

    async def _hooked(self, hook: Hook, exchange: Exchange) -> StepHandler | None:
        """Change the request by the user's function. Raises TransformError, TooLong and UserError."""
        edit = await hook.of_request(exchange.view)
        if edit is None:
            return None
        if isinstance(edit, RequestEdit):
            where = self.place.where
            exchange.edit(await edited_request(exchange, edit.changes, where, self.upstream_client, edit.path))
            return None

        async def handle(exchange: Exchange) -> None:
            try:
                await reply_with(hook.function, exchange, edit)
            except UserError as failed:
                await user_failed(exchange, failed, hook.report)

        return handle

    def change_response(self, exchange: Exchange, rule: CompiledRule | None) -> None:
        """Have the response changed when it is sent."""
        if self.response != ResponseChanges():
            if exchange.response_editor is None:
                exchange.response_editor = ResponseLayers(self.upstream_client)
            assert isinstance(exchange.response_editor, ResponseLayers)
            exchange.response_editor.add(Layer(self.place, self.response, self.response_hook), rule)


def around(step: Change | Passthrough, context: CompileContext) -> Around:
    """The changes of a step, with its functions loaded. Raises ConfigError."""
    request_hook, response_hook = [
        None if name is None else Hook(context.handlers.resolve(name), context.report_failure)
        for name in (step.request.python, step.response.python)
    ]
    return Around(step.place, step.request, step.response, context.upstream_client, request_hook, response_hook)
