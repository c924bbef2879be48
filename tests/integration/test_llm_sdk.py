"""A suite of calls of the `openai` SDK against a provider is recorded, the provider stops, and the suite passes again.

The provider speaks its API: JSON, streams of chunks with pauses, a 429 that the SDK retries, and errors.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from programs import RunProgram
from upstreams import Received, Served, StartUpstream

from mockrec.formats.session import open_session

pytest.importorskip("openai", reason="the package openai is not installed")

KEY = "sk-proj-aVerySecretKey0123456789abcdef"
PAUSE_SECONDS = 0.06
WORDS = ["one", " two", " three", " four"]
SUITE = """
import json, sys, time
import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=2, timeout=60)

def ask(content, **options):
    return client.chat.completions.create(model="small", messages=[{"role": "user", "content": content}], **options)

found = {"models": [model.id for model in client.models.list()], "answer": ask("hello").choices[0].message.content}
called = ask("weather", tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}])
found["tool"] = called.choices[0].message.tool_calls[0].function.arguments
times, words = [], []
for chunk in ask("count", stream=True):
    times.append(time.monotonic())
    words.append(chunk.choices[0].delta.content)
found["words"] = words
found["busy"] = ask("busy").choices[0].message.content
try:
    ask("wrong")
except openai.BadRequestError as error:
    found["error"] = error.body["code"]
found["vector"] = client.embeddings.create(model="vectors", input="a").data[0].embedding
print(json.dumps({"found": found, "spread": times[-1] - times[0]}))
"""


def chunk(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}}
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [choice]}
    return f"data: {json.dumps(data)}\n\n".encode()


def completion(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice]}


class Provider:
    """What the SDK asks."""

    def __init__(self) -> None:
        self._busy = 0

    def __call__(self, connection: Served) -> None:
        while (received := connection.request()) is not None:
            if received.target.endswith("/chat/completions") and json.loads(received.body).get("stream"):
                self._stream(connection)
            else:
                status, value = self._answer(received)
                body = json.dumps(value).encode()
                fields = b"Content-Type: application/json\r\nContent-Length: %d\r\nRetry-After-Ms: 1" % len(body)
                connection.send(b"HTTP/1.1 %s\r\n%s\r\n\r\n%s" % (status, fields, body))

    def _answer(self, received: Received) -> tuple[bytes, Any]:
        if received.target.endswith("/models"):
            return b"200 OK", {"object": "list", "data": [{"id": "small", "object": "model"}]}
        asked = json.loads(received.body)
        if received.target.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
            return b"200 OK", {"object": "list", "model": "vectors", "data": [vector], "usage": {}}
        text = asked["messages"][0]["content"]
        if text == "weather":
            function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
            return b"200 OK", completion({"tool_calls": [{"id": "t", "type": "function", "function": function}]})
        if text == "wrong":
            return b"400 Bad Request", {"error": {"message": "no", "code": "wrong_words", "type": "invalid"}}
        if text == "busy":
            self._busy += 1
            if self._busy == 1:
                return b"429 Too Many Requests", {"error": {"message": "later", "code": "rate", "type": "rate"}}
        return b"200 OK", completion({"content": f"answer to {text}"})

    @staticmethod
    def _stream(connection: Served) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for data in (*map(chunk, WORDS), b"data: [DONE]\n\n"):
            connection.send(b"%x\r\n%s\r\n" % (len(data), data))
            threading.Event().wait(PAUSE_SECONDS)  # the pace is what is recorded
        connection.send(b"0\r\n\r\n")


def test_a_suite_of_the_sdk_passes_without_its_provider(
    tmp_path: Path, program: RunProgram, upstream: StartUpstream
) -> None:
    server = upstream(serve=Provider())
    suite = ["--", sys.executable, "-c", SUITE, f"{server.url}/v1", KEY]
    options = ["replay", "llm.jsonl", "--serve", "--latency", "recorded"]
    recorded = program(*options, "--on-miss", "record", *suite)
    assert recorded.returncode == 0, recorded.stderr
    first = json.loads(recorded.stdout)
    assert first["found"] == {
        "models": ["small"],
        "answer": "answer to hello",
        "tool": '{"city": "Oslo"}',
        "words": WORDS,
        "busy": "answer to busy",
        "error": "wrong_words",
        "vector": [0.25, -0.5],
    }
    text = (tmp_path / "llm.jsonl").read_text(encoding="utf-8")
    assert KEY not in text
    with open_session(tmp_path / "llm.jsonl") as session:
        records = [record for _, record in session]
    # The SDK leaves a stream after its last event, and may do so before its end: that is an abort.
    ends = [record if record["type"] == "response" else record.get("response") for record in records
            if record["type"] in ("response", "abort")]  # fmt: skip
    assert sorted(end["statusCode"] for end in ends) == [200] * 6 + [400, 429]

    server.close()
    again = program(*options, "--strict", "--receipt", "receipt.json", *suite)
    assert again.returncode == 0, again.stderr
    second = json.loads(again.stdout)
    assert second["found"] == first["found"]
    # The pace of the recorder's chunks: a busy machine may be later, never earlier.
    assert second["spread"] >= (len(WORDS) - 1) * PAUSE_SECONDS * 0.5
    receipt = json.loads((tmp_path / "receipt.json").read_text(encoding="utf-8"))
    assert (receipt["isolated"], receipt["served"], receipt["unused"]) == (True, 8, 0)
    # Another prompt is a miss, and no other answer.
    other = [word.replace('ask("hello")', 'ask("hello?")').replace("max_retries=2", "max_retries=0") for word in suite]
    missed = program("replay", "llm.jsonl", "--serve", *other)
    assert missed.returncode == 1
    assert "without a recording" in missed.stderr and "InternalServerError" in missed.stderr
