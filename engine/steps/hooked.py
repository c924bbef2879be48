"""The steps `passthrough` and `forward` with functions of the user's around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Passthrough, RequestChanges, ResponseChanges
from mockrec.engine.steps.answer_changes import ChangeFailed
from mockrec.engine.steps.around import Around
from mockrec.engine.steps.plan import StepHandler


def hooked_passthrough(step: Passthrough, around: Around, plain: Callable[[Passthrough], StepHandler]) -> StepHandler:
    """Passes on what the functions want. `plain` makes the act of a step without any.

    The function for the request sees it as the client has sent it, with the step's own changes. Where it names another
    server, that is asked, whatever `to` of `forward` says.
    """
    request, response = step.request, step.response
    if around.request_hook is not None:
        request = RequestChanges()  # made before the function is called
    if around.response_hook is not None:
        response = ResponseChanges()
    inner = plain(replace(step, request=request, response=response))
    elsewhere = Passthrough(step.place, upstream=step.upstream, response=response, delay=step.delay)
    to_other = plain(elsewhere) if around.request_hook is not None else inner

    async def act(exchange: Exchange) -> None:
        goes_on = inner
        if around.request_hook is not None:
            await exchange.wait_for_body(ahead=True)
            before = exchange.effective_target
            answering = await around.edit_request(exchange)
            if answering is not None:
                await answering(exchange)
                return
            if (exchange.effective_target.hostname, exchange.effective_target.port) != (before.hostname, before.port):
                goes_on = to_other
        try:
            if around.response_hook is not None:
                around.change_answer(exchange, exchange.rule)
            await goes_on(exchange)
        except ChangeFailed as failed:
            await failed.answer(exchange)

    return act
