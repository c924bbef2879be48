"""Answers of LLM APIs: what is sent is read back as it was asked for, whole and as a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.engine.rules.language.llm import LLM_PROVIDERS
from mockrec.engine.steps.llm_answers import PROVIDERS, Answer, count_tokens
from mockrec.formats.operations.llm_answer import LlmAnswer, answer_of

pytestmark = pytest.mark.anyio

STEP = 'llm: {text: "Hello, wörld", toolCalls: [{name: f, arguments: {x: [1, "a b"]}}], tokens: {input: 9, output: 4}'
PATHS = {
    "openai": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
    "ollama": "/api/chat",
}
FINISH = {
    "openai": "tool_calls",
    "openai-responses": "completed",
    "anthropic": "tool_use",
    "gemini": "STOP",
    "ollama": "stop",
}


def test_the_language_and_the_code_know_the_same_providers() -> None:
    assert set(LLM_PROVIDERS) == set(PROVIDERS) == set(PATHS)


async def answered(stage: Any, steps: Any, provider: str, *, streams: bool) -> LlmAnswer:
    path = PATHS[provider]
    if provider == "gemini" and streams:
        path = path.replace("generate", "streamGenerate")
    body = json.dumps({"model": "m", "stream": streams}).encode()
    await steps.run(stage, STEP + "}", f"POST {path}", body=body)
    record = stage.log.only("response")
    assert record["statusCode"] == 200
    done = stage.channel.done
    sent = b"".join(one[1] for one in done if one[0] == "data") if len(done) > 1 else done[0][3]
    found = answer_of(sent.decode(), record["headers"]["content-type"])
    assert found is not None
    return found


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("provider", PATHS)
async def test_an_answer_is_read_as_it_was_meant(stage: Any, steps: Any, provider: str, streams: bool) -> None:
    found = await answered(stage, steps, provider, streams=streams)

    assert (found.model, found.text, found.finish) == ("m", "Hello, wörld", FINISH[provider])
    assert (found.input_tokens, found.output_tokens) == (9, 4)
    ((name, arguments),) = [(tool.name, json.loads("".join(tool.arguments))) for tool in found.tools]
    assert (name, arguments) == ("f", {"x": [1, "a b"]})


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/chat/completions", b"{", b"none of an LLM"),
        ("/v1/chat/completions", b"[]", b"expected a JSON object"),
        ("/v1/chat/completions", b"\xff", b"none of an LLM"),
        ("/elsewhere", b"{}", b"name the `provider`"),
    ],
)
async def test_a_request_of_another_form_gets_a_500(
    stage: Any, steps: Any, path: str, body: bytes, words: bytes
) -> None:
    await steps.run(stage, STEP + "}", f"POST {path}", body=body)
    ((_, status, _, sent, _),) = stage.channel.done

    assert status == 500
    assert words in sent


def test_the_pieces_of_a_stream_are_the_text() -> None:
    answer = Answer("i", 0, "m", " a\n\nb  c ", (), "", 0, 0)

    assert "".join(answer.pieces) == answer.text
    assert len(answer.pieces) == count_tokens(answer.text, ()) == 4
