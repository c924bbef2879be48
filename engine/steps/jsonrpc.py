"""The step `jsonRpc`: the answer to a JSON-RPC 2.0 call, with the caller's id (JSON-RPC 2.0, section 5)."""

from __future__ import annotations

from mockrec.engine.exchange.answer import Answer
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import JsonRpc
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.plan import Act
from mockrec.engine.steps.reply import JSON_TYPE, json_bytes


def json_rpc_act(step: JsonRpc) -> Act:
    """Answers a call; a request that is none gets a 500."""
    outcome = {"error": step.error} if step.error is not None else {"result": step.result}

    async def act(exchange: Exchange) -> None:
        await exchange.wait_for_body()
        try:
            call = exchange.view.json
        except ValueError as error:
            await reply_failure(exchange, f"the request is no JSON-RPC call: {error}")
            return
        if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or "id" not in call:
            await reply_failure(exchange, 'the request is no JSON-RPC call: expected "jsonrpc": "2.0" and an "id"')
            return
        await exchange.reply(Answer(200, (JSON_TYPE,), json_bytes({"jsonrpc": "2.0", "id": call["id"], **outcome})))

    return act
