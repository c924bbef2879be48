"""The step `llm`: responds as the API of a large language model does, whole or as a stream, as the request asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import anyio.lowlevel

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import Llm
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.llm_answers import PROVIDERS, Answer, Event, Provider, count_tokens
from mockrec.engine.steps.offloaded import in_helper
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.reply import JSON_TYPE, json_bytes
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.timing import sleep_until
from mockrec.formats.content import codings as content

_BYTES_OF_A_TOKEN: Final = 4
"""Of English text, as the providers estimate it; for the input tokens where a rule names none."""
_EVENTS_AT_ONCE: Final = 256
"""Events that are sent without letting other exchanges run: about a millisecond of work."""
_SSE: Final = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))
_LINES: Final = (("content-type", "application/x-ndjson"),)


def llm_handler(step: Llm, helpers: Helpers | None = None) -> StepHandler:
    """Respond to a request of an LLM's API, or with 500 to one that is none. `helpers` parse a long body."""
    output = count_tokens(step.text, step.tool_calls) if step.output_tokens is None else step.output_tokens

    async def handle(exchange: Exchange) -> None:
        await exchange.wait_for_body()
        view = exchange.view
        name = step.provider or next((name for name, one in PROVIDERS.items() if one.path.search(view.path)), None)
        try:
            if name is None:
                names = ", ".join(PROVIDERS)
                raise ValueError(f"{view.path} is the path of no known API; name the `provider`: {names}")
            coding = exchange.effective_target.headers.get("content-encoding", "")
            if helpers is None or exchange.fits(QUICK_BODY):
                model, streams = _asked(view.json)
            else:
                arguments = exchange.effective_body, content.codings_of(coding), exchange.request_body.limit
                model, streams = await in_helper(exchange, helpers, "llm", step.place.where, asked_of, *arguments)
        except (ValueError, TooLong) as error:
            await reply_failure(exchange, f"the request is none of an LLM's API: {error}")
            return
        provider = PROVIDERS[name]
        answer = Answer(
            identity=exchange.id,
            created=int(exchange.start_time / 1000),
            model=step.model or model or _model_of_path(view.path),
            text=step.text,
            tools=step.tool_calls,
            finish=step.finish_reason or "",
            input_tokens=(
                max(1, exchange.request_body.size // _BYTES_OF_A_TOKEN)
                if step.input_tokens is None
                else step.input_tokens
            ),
            output_tokens=output,
        )
        if streams is None:
            streams = provider.streams or "streamGenerateContent" in view.path
        if streams:
            await _stream(exchange, step, provider, answer)
        else:
            await exchange.reply(PreparedResponse(200, (JSON_TYPE,), json_bytes(provider.whole(answer))))

    return handle


async def _stream(exchange: Exchange, step: Llm, provider: Provider, answer: Answer) -> None:
    await exchange.begin(PreparedResponse(200, _LINES if provider.is_lines else _SSE))
    due = clock.now() + step.first_token_after * 1000.0
    pause = 1000.0 / step.tokens_per_second if step.tokens_per_second else 0.0
    is_first = True
    for number, event in enumerate(provider.events(answer), 1):
        if number % _EVENTS_AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
        if event.is_token:
            if not is_first:
                due += pause
            if (is_first and step.first_token_after) or pause:
                await sleep_until(due)
            is_first = False
        await exchange.send(_encoded(event, provider))
    await exchange.finish()


def _encoded(event: Event, provider: Provider) -> bytes:
    data = event.data.encode() if isinstance(event.data, str) else json_bytes(event.data)
    if provider.is_lines:
        return data + b"\n"
    name = f"event: {event.name}\n".encode() if event.name else b""
    return b"%bdata: %b\n\n" % (name, data)


def asked_of(data: bytes, codings: Sequence[str], limit: int) -> tuple[str, bool | None]:
    """Return the model that a body asks for, and whether it asks for a stream. Raises ValueError."""
    view = RequestView("", "", "", "", 0, "", {}, (), False, partial(content.decoded_whole, data, codings, limit))
    return _asked(view.json)


def _asked(document: Any) -> tuple[str, bool | None]:
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    model, streams = document.get("model"), document.get("stream")
    return model if isinstance(model, str) else "", streams if isinstance(streams, bool) else None


def _model_of_path(path: str) -> str:
    """Return the model in the path of a request to Gemini; `mock` if there is none."""
    return unquote(path.rpartition("/")[2].partition(":")[0]) if ":" in path else "mock"


STEPS = (
    StepSpec(
        Llm,
        lambda step, context: llm_handler(step, context.upstream_client.helpers),
        never_blocks=False,
        needs_body=True,
    ),
)
