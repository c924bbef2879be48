"""The steps `passthrough` and `forward` with a user's function for the request, the response, or both."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Passthrough, RequestChanges, ResponseChanges
from mockrec.engine.steps.around import Around
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.response_layers import ChangeFailed


def hooked_passthrough(step: Passthrough, around: Around, plain: Callable[[Passthrough], StepHandler]) -> StepHandler:
    """Pass on the request and the response as the functions return them. `plain` compiles a step without functions.

    The function for the request gets it as the client has sent it, with the step's own changes. If it names another
    server, the request goes there, whatever `to` of `forward` says.
    """
    request, response = step.request, step.response
    if around.request_hook is not None:
        request = RequestChanges()  # they are made before the function is called
    if around.response_hook is not None:
        response = ResponseChanges()
    inner = plain(replace(step, request=request, response=response))
    elsewhere = Passthrough(step.place, upstream=step.upstream, response=response, delay=step.delay)
    to_other = plain(elsewhere) if around.request_hook is not None else inner

    async def handle(exchange: Exchange) -> None:
        pass_on = inner
        if around.request_hook is not None:
            await exchange.wait_for_body(ahead=True)
            before = exchange.effective_target
            instead = await around.edit_request(exchange)
            if instead is not None:
                await instead(exchange)
                return
            if (exchange.effective_target.hostname, exchange.effective_target.port) != (before.hostname, before.port):
                pass_on = to_other
        try:
            if around.response_hook is not None:
                around.change_response(exchange, exchange.rule)
            await pass_on(exchange)
        except ChangeFailed as failed:
            await failed.respond(exchange)

    return handle
