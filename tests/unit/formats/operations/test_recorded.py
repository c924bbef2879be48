"""Sessions of real clients and servers: what is read from the recording is what the clients saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mockrec.formats.operations.first_token import FirstTokens
from mockrec.formats.operations.llm import answer_of_response
from mockrec.formats.operations.message import message_of
from mockrec.formats.operations.readers import operation_of_record

DATA = Path(__file__).parents[3] / "data" / "operations"
SLACK = 300
"""Milliseconds that an SDK takes to connect and to hand out an event; the first call also imports modules."""


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def names(name: str) -> list[str]:
    kinds = ("request", "websocket-message-received")
    found = [operation_of_record(record, None) for record in records(name) if record["type"] in kinds]
    return [operation.name for operation in found if operation is not None]


def test_answers_of_llms_are_what_the_sdks_returned() -> None:
    saw = json.loads((DATA / "llm-sdk.json").read_text(encoding="utf-8"))
    answers = [answer_of_response(message_of(one, None)) for one in records("llm.jsonl") if one["type"] == "response"]

    assert len(answers) == len(saw) == 6
    for answer, seen in zip(answers, saw, strict=True):
        assert answer is not None
        assert (answer.model, answer.text, answer.finish) == (seen["model"], seen["text"], seen["fin"])
        assert (answer.input_tokens, answer.output_tokens) == (seen["i"], seen["o"])
        assert "".join(tool.name for tool in answer.tools) == seen.get("tool", "")
        if seen.get("args"):
            assert json.loads("".join(answer.tools[0].arguments)) == json.loads(seen["args"])


def test_the_time_to_the_first_token_is_what_the_sdks_measured() -> None:
    saw = json.loads((DATA / "llm-sdk.json").read_text(encoding="utf-8"))
    tokens = FirstTokens()
    found: dict[str, float] = {}
    for record in records("llm.jsonl"):
        elapsed = tokens.add(record)
        if elapsed is not None:
            found[record["id"]] = elapsed
    # The second chat is a call of a tool: its first piece counts, for the SDK too.
    measured = [one["ttft"] for one in saw if "ttft" in one]

    assert len(found) == len(measured) == 5
    for elapsed, seen in zip(found.values(), measured, strict=True):
        assert seen - SLACK < elapsed <= seen


def test_calls_of_mcp_are_named() -> None:
    assert names("mcp.jsonl") == [
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/call search",
        "tools/call fail",
        "resources/read shop://cart",
    ]


def test_graphql_of_node_and_python_is_named() -> None:
    assert names("graphql.jsonl") == [
        "query Cart",
        "query Cart",
        "mutation AddItem",
        "query {fail}",
        "",  # a document that does not end
        "query Q",
        "subscription Prices",
        "subscription Prices",
    ]
