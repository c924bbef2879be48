"""The step `jsonRpc`: responds to a JSON-RPC 2.0 call, with the caller's id (JSON-RPC 2.0, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import JsonRpc
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.offloaded import in_helper
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.reply import JSON_TYPE, json_bytes
from mockrec.engine.steps.spec import StepSpec
from mockrec.formats.content import codings as content


def json_rpc_handler(step: JsonRpc, helpers: Helpers | None = None) -> StepHandler:
    """Respond to a call, or with 500 to a request that is not a call. `helpers` parse a long body."""
    outcome = {"error": step.error} if step.error is not None else {"result": step.result}

    async def handle(exchange: Exchange) -> None:
        await exchange.wait_for_body()
        coding = exchange.effective_target.headers.get("content-encoding", "")
        try:
            if helpers is None or exchange.fits(QUICK_BODY):
                call = _call(exchange.view.json)
            else:
                arguments = exchange.effective_body, content.codings_of(coding), exchange.request_body.limit
                call = await in_helper(exchange, helpers, "jsonRpc", step.place.where, call_of, *arguments)
        except (ValueError, TooLong) as error:
            await reply_failure(exchange, f"the request is no JSON-RPC call: {error}")
            return
        await exchange.reply(PreparedResponse(200, (JSON_TYPE,), json_bytes({"jsonrpc": "2.0", **call, **outcome})))

    return handle


def call_of(data: bytes, codings: Sequence[str], limit: int) -> dict[str, Any]:
    """The `id` of the call in a body. Raises ValueError."""
    view = RequestView("", "", "", "", 0, "", {}, (), False, partial(content.decoded_whole, data, codings, limit))
    return _call(view.json)


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or "id" not in call:
        raise ValueError('expected "jsonrpc": "2.0" and an "id"')
    return {"id": call["id"]}


STEPS = (
    StepSpec(
        JsonRpc,
        lambda step, context: json_rpc_handler(step, context.upstream_client.helpers),
        never_blocks=True,
        needs_body=True,
    ),
)
