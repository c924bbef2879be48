"""The step `stream`: a body that is sent piece by piece, each at its time; also server-sent events."""

from __future__ import annotations

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.model import Stream
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.timing import sleep_until


def stream_handler(step: Stream) -> StepHandler:
    """Send the head at once, then the pieces."""
    response = PreparedResponse(step.status, step.headers, reason=step.status_message, trailers=step.trailers)

    async def handle(exchange: Exchange) -> None:
        await exchange.begin(response)
        due = clock.now()
        for chunk in step.chunks:
            if chunk.after:
                due += chunk.after * 1000.0
                await sleep_until(due)
            await exchange.send(chunk.data)
        await exchange.finish()

    return handle


STEPS = (StepSpec(Stream, lambda step, context: stream_handler(step), never_blocks=False, needs_body=False),)
