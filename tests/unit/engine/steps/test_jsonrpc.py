"""Answers to JSON-RPC calls (JSON-RPC 2.0, section 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ("{result: {a: [1]}}", {"result": {"a": [1]}}),
        ("{result: null}", {"result": None}),
        ("{error: {code: -32601, message: no}}", {"error": {"code": -32601, "message": "no"}}),
        ("{error: {code: 1, message: no, data: [2]}}", {"error": {"code": 1, "message": "no", "data": [2]}}),
    ],
)
@pytest.mark.parametrize("identity", [1, "x", None, 1.5])
async def test_the_answer_has_the_callers_id(
    stage: Any, steps: Any, step: str, outcome: dict[str, Any], identity: Any
) -> None:
    call = {"jsonrpc": "2.0", "id": identity, "method": "m"}
    await steps.run(stage, f"jsonRpc: {step}", "POST /", body=json.dumps(call).encode())
    ((_, status, headers, body, _),) = stage.channel.done
    assert status == 200
    assert ("Content-Type", "application/json") in headers
    assert json.loads(body) == {"jsonrpc": "2.0", "id": identity, **outcome}


@pytest.mark.parametrize(
    "call",
    [
        b"",
        b"no json",
        b"[]",
        b"1",
        b'[{"jsonrpc": "2.0", "id": 1, "method": "m"}]',
        b'{"jsonrpc": "2.0", "method": "m"}',
        b'{"jsonrpc": "1.0", "id": 1, "method": "m"}',
        b'{"id": 1, "method": "m"}',
        b"\xff",
    ],
)
async def test_what_is_no_call_gets_a_500(stage: Any, steps: Any, call: bytes) -> None:
    await steps.run(stage, "jsonRpc: {result: 1}", "POST /", body=call)
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    assert body.decode().startswith("rule it (rules.yaml:3): the request is no JSON-RPC call: ")
    assert stage.log.types[-1] == "response"
