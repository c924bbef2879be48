"""The answer of an LLM API, assembled from its document or from the events of its stream.

Every provider has a reader that takes one document at a time: the whole answer, or the data of one event. A document of
another form is left out, so that an extension of an API (citations, for example) does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from mockrec.formats.operations.event_stream import data_of
from mockrec.formats.operations.message import MalformedMessageError, parse_json

_DONE: Final = "[DONE]"
"""The last data of OpenAI's streams."""
_MARKS: Final = ('"choices"', '"object"', '"type"', '"candidates"', '"done"', '"error"')
"""One of these is in the first document of every answer."""
_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_MOST_TOOLS: Final = 1000


class ToolCall(msgspec.Struct):
    """A call of a tool that the model asks for."""

    name: str = ""
    arguments: list[str] = msgspec.field(default_factory=list)
    """Pieces of JSON."""


class LlmAnswer(msgspec.Struct):
    """What an answer says; empty or None where it says nothing."""

    provider: str = ""
    model: str = ""
    finish: str = ""
    """The reason of the end, in the provider's word: `stop`, `end_turn`, `tool_calls`."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str = ""
    pieces: list[str] = msgspec.field(default_factory=list)
    tools: list[ToolCall] = msgspec.field(default_factory=list)
    is_stream: bool = False
    finding: str = ""
    """Why the stream is malformed."""

    @property
    def text(self) -> str:
        """The assembled text."""
        return "".join(self.pieces)

    @property
    def has_content(self) -> bool:
        """Whether any text or tool call has come."""
        return bool(self.pieces or self.tools)

    def add_text(self, text: Any) -> None:
        """Add a piece of text."""
        if isinstance(text, str) and text:
            self.pieces.append(text)

    def tool(self, index: int) -> ToolCall:
        """Return the tool call of an index, new if need be; providers number them from 0."""
        while len(self.tools) <= index and len(self.tools) < _MOST_TOOLS:
            self.tools.append(ToolCall())
        return self.tools[min(max(index, 0), len(self.tools) - 1)]

    def add_usage(self, usage: Any, input_key: str, output_key: str) -> None:
        """Take the token counts of a usage object; a later one of a stream replaces an earlier one."""
        if isinstance(usage, dict):
            self.input_tokens = _count(usage.get(input_key), self.input_tokens)
            self.output_tokens = _count(usage.get(output_key), self.output_tokens)

    def take(self, document: Any) -> bool:
        """Add one document of the provider; return whether it was one of its forms."""
        if not isinstance(document, dict):
            return False
        if self.provider:
            return _READERS[self.provider](self, document)
        for name, read in _READERS.items():
            if read(self, document):
                self.provider = name
                return True
        return False


def answer_of(text: str, media_type: str) -> LlmAnswer | None:
    """Return the answer in a body; None if it is none. Raises `MalformedMessageError` for JSON that is none."""
    if not any(mark in text[:4096] for mark in _MARKS):
        return None
    answer = LlmAnswer(is_stream=media_type != "application/json")
    if media_type == "application/json":
        document = parse_json(text)
        # Gemini streams a list of documents where no SSE was asked for.
        for one in document if isinstance(document, list) else (document,):
            answer.take(one)
    elif media_type == "text/event-stream" or media_type in _NDJSON:
        for data in documents_of(text, media_type):
            if data == _DONE:
                continue
            try:
                answer.take(parse_json(data))
            except MalformedMessageError as error:
                answer.finding = answer.finding or f"an event of the stream is not JSON: {error}"
    return answer if answer.provider else None


def documents_of(text: str, media_type: str) -> Iterator[str]:
    """Yield the data of each event, or each line of a stream of JSON lines."""
    if media_type in _NDJSON:
        yield from (line for line in text.split("\n") if line.strip())
    else:
        yield from (event.data for event in data_of(text))


def _count(value: Any, before: int | None) -> int | None:
    return value if type(value) is int else before


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _index(value: Any) -> int:
    return value if type(value) is int and 0 <= value < _MOST_TOOLS else 0


# ── OpenAI: chat completions and completions ───────────────────────────────────────────────────────


def _openai(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    if "choices" not in document and document.get("object") not in ("chat.completion", "chat.completion.chunk", "list"):
        return _openai_error(answer, document)
    if document.get("object") == "list" and "usage" not in document:  # a list of models, and not of embeddings
        return False
    answer.model = _text(document.get("model")) or answer.model
    answer.add_usage(document.get("usage"), "prompt_tokens", "completion_tokens")
    for choice in _list(document.get("choices")):
        if not isinstance(choice, dict) or _index(choice.get("index")) > 0:
            continue  # further choices are alternatives to the first
        answer.finish = _text(choice.get("finish_reason")) or answer.finish
        message = _object(choice.get("delta")) or _object(choice.get("message"))
        answer.add_text(message.get("content"))
        answer.add_text(choice.get("text"))
        answer.add_text(message.get("refusal"))
        for place, call in enumerate(_list(message.get("tool_calls"))):
            if isinstance(call, dict):
                tool = answer.tool(_index(call.get("index", place)))
                function = _object(call.get("function"))
                tool.name = _text(function.get("name")) or tool.name
                tool.arguments.append(_text(function.get("arguments")))
    return True


def _openai_error(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    """An error of OpenAI or Gemini; an answer that is only an error has no other sign of its provider."""
    error = document.get("error")
    if isinstance(error, dict) and "code" in error and ("type" in error or _is_status(error.get("status"))):
        answer.error = _text(error.get("code")) or _text(error.get("type")) or _text(error.get("status"))
        return True
    return False


def _is_status(value: Any) -> bool:
    """Return whether a value is a status of Google's APIs: `RESOURCE_EXHAUSTED`."""
    return isinstance(value, str) and value.isupper()


# ── OpenAI: responses ──────────────────────────────────────────────────────────────────────────────


def _responses(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    kind = _text(document.get("type"))
    if document.get("object") == "response":
        _add_response(answer, document, whole=True)
        return True
    if not kind.startswith("response.") and not (kind == "error" and answer.provider):
        return False
    if kind in ("response.output_text.delta", "response.refusal.delta"):
        answer.add_text(document.get("delta"))
    elif kind == "response.output_item.added":
        item = _object(document.get("item"))
        if item.get("type") == "function_call":
            answer.tools.append(ToolCall(_text(item.get("name"))))
    elif kind == "response.function_call_arguments.delta" and answer.tools:
        answer.tools[-1].arguments.append(_text(document.get("delta")))
    elif kind == "error":
        answer.error = _text(document.get("code")) or "error"
    elif isinstance(document.get("response"), dict):
        _add_response(answer, document["response"], whole=False)
    return True


def _add_response(answer: LlmAnswer, response: dict[str, Any], *, whole: bool) -> None:
    answer.model = _text(response.get("model")) or answer.model
    answer.add_usage(response.get("usage"), "input_tokens", "output_tokens")
    status = _text(response.get("status"))
    if status not in ("in_progress", "queued"):
        answer.finish = _text(_object(response.get("incomplete_details")).get("reason")) or status or answer.finish
    answer.error = _text(_object(response.get("error")).get("code")) or answer.error
    for item in _list(response.get("output")) if whole else ():
        item = _object(item)
        if item.get("type") == "function_call":
            answer.tools.append(ToolCall(_text(item.get("name")), [_text(item.get("arguments"))]))
        for part in _list(item.get("content")):
            answer.add_text(_object(part).get("text"))


# ── Anthropic ──────────────────────────────────────────────────────────────────────────────────────

_ANTHROPIC_EVENTS: Final = frozenset(
    {
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop", "ping"),
    }
)


def _anthropic(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    kind = _text(document.get("type"))
    if kind == "message" and "content" in document:
        _add_anthropic_message(answer, document)
    elif kind == "error" and isinstance(document.get("error"), dict):
        answer.error = _text(document["error"].get("type")) or "error"
    elif kind not in _ANTHROPIC_EVENTS:
        return False
    elif kind == "message_start":
        _add_anthropic_message(answer, _object(document.get("message")))
    elif kind == "content_block_start":
        _add_block(answer, document.get("content_block"))
    elif kind == "content_block_delta":
        delta = _object(document.get("delta"))
        answer.add_text(delta.get("text"))
        if answer.tools and delta.get("type") == "input_json_delta":
            answer.tools[-1].arguments.append(_text(delta.get("partial_json")))
    elif kind == "message_delta":
        answer.finish = _text(_object(document.get("delta")).get("stop_reason")) or answer.finish
        answer.add_usage(document.get("usage"), "input_tokens", "output_tokens")
    return True


def _add_anthropic_message(answer: LlmAnswer, message: dict[str, Any]) -> None:
    answer.model = _text(message.get("model")) or answer.model
    answer.finish = _text(message.get("stop_reason")) or answer.finish
    answer.add_usage(message.get("usage"), "input_tokens", "output_tokens")
    for block in _list(message.get("content")):
        _add_block(answer, block)


def _add_block(answer: LlmAnswer, block: Any) -> None:
    block = _object(block)
    answer.add_text(block.get("text"))
    if block.get("type") == "tool_use":
        given = block.get("input")
        arguments = [_dumped(given)] if given else []
        answer.tools.append(ToolCall(_text(block.get("name")), arguments))


def _dumped(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


# ── Gemini ─────────────────────────────────────────────────────────────────────────────────────────


def _gemini(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    if "candidates" not in document and "usageMetadata" not in document:
        return False
    answer.model = _text(document.get("modelVersion")) or answer.model
    answer.add_usage(document.get("usageMetadata"), "promptTokenCount", "candidatesTokenCount")
    for candidate in _list(document.get("candidates"))[:1]:
        candidate = _object(candidate)
        answer.finish = _text(candidate.get("finishReason")) or answer.finish
        for part in _list(_object(candidate.get("content")).get("parts")):
            part = _object(part)
            if not part.get("thought"):
                answer.add_text(part.get("text"))
            if call := _object(part.get("functionCall")):
                answer.tools.append(ToolCall(_text(call.get("name")), [_dumped(call.get("args"))]))
    return True


# ── Ollama ─────────────────────────────────────────────────────────────────────────────────────────


def _ollama(answer: LlmAnswer, document: dict[str, Any]) -> bool:
    if "done" not in document or "model" not in document:
        return False
    answer.model = _text(document.get("model")) or answer.model
    answer.finish = _text(document.get("done_reason")) or answer.finish
    answer.add_usage(document, "prompt_eval_count", "eval_count")
    message = _object(document.get("message"))
    answer.add_text(message.get("content"))
    answer.add_text(document.get("response"))
    for call in _list(message.get("tool_calls")):
        function = _object(_object(call).get("function"))
        answer.tools.append(ToolCall(_text(function.get("name")), [_dumped(function.get("arguments"))]))
    return True


_READERS: Final[dict[str, Callable[[LlmAnswer, dict[str, Any]], bool]]] = {
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "openai": _openai,
}
"""Provider → reader, which returns whether a document has one of its forms."""
