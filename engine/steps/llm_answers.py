"""Answers of LLM APIs as their SDKs read them: whole documents, and the events of streams.

Every provider has two functions of an `Answer`: `whole` returns the document, `events` yields the events of the stream.
The forms are those that the SDKs `openai` 2, `anthropic` 1 and `ollama` read, and the REST reference of Gemini.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import orjson

_PIECE: Final = re.compile(r"\s*\S+|\s+")
"""A word with the white space before it stands for a token."""

Document = dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """What is to be said."""

    identity: str
    created: int
    """Seconds since the epoch."""
    model: str
    text: str
    tools: tuple[tuple[str, str], ...]
    """Name and arguments (JSON) of each call of a tool."""
    finish: str
    """The reason of the end, in the provider's word; empty for its usual one."""
    input_tokens: int
    output_tokens: int

    @property
    def pieces(self) -> list[str]:
        """The text in the pieces of a stream."""
        return _PIECE.findall(self.text)


class Event(msgspec.Struct, frozen=True):
    """One event of a stream."""

    data: Document | str
    name: str = ""
    """Its `event:`."""
    is_token: bool = False
    """Whether it counts for the rate of tokens."""


def count_tokens(text: str, tools: tuple[tuple[str, str], ...]) -> int:
    """Return the number of pieces that a stream has, which stands for the tokens of the answer."""
    return len(_PIECE.findall(text)) + sum(len(_PIECE.findall(arguments)) for _, arguments in tools)


# ── OpenAI: chat completions ───────────────────────────────────────────────────────────────────────


def _chat_usage(answer: Answer) -> Document:
    total = answer.input_tokens + answer.output_tokens
    return {"prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens, "total_tokens": total}


def _chat_finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.tools else "stop")


def _chat_call(answer: Answer, index: int, name: str, arguments: str) -> Document:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{index}_{answer.identity[:8]}", "type": "function", "function": function}


def _chat_whole(answer: Answer) -> Document:
    message: Document = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.tools:
        message["tool_calls"] = [
            _chat_call(answer, index, name, arguments) for index, (name, arguments) in enumerate(answer.tools)
        ]
    return {
        "id": f"chatcmpl-{answer.identity}",
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _chat_finish(answer)}],
        "usage": _chat_usage(answer),
    }


def _chat_events(answer: Answer) -> Iterator[Event]:
    def chunk(choices: list[Document], usage: Document | None = None) -> Document:
        head = {"id": f"chatcmpl-{answer.identity}", "object": "chat.completion.chunk", "created": answer.created}
        return {**head, "model": answer.model, "choices": choices, "usage": usage}

    def delta(content: Document, finish: str | None = None) -> Document:
        return chunk([{"index": 0, "delta": content, "logprobs": None, "finish_reason": finish}])

    yield Event(delta({"role": "assistant", "content": ""}))
    for piece in answer.pieces:
        yield Event(delta({"content": piece}), is_token=True)
    for index, (name, arguments) in enumerate(answer.tools):
        yield Event(delta({"tool_calls": [{"index": index, **_chat_call(answer, index, name, "")}]}), is_token=True)
        for piece in _PIECE.findall(arguments):
            yield Event(delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}), is_token=True)
    yield Event(delta({}, _chat_finish(answer)))
    yield Event(chunk([], _chat_usage(answer)))
    yield Event("[DONE]")


# ── OpenAI: responses ──────────────────────────────────────────────────────────────────────────────


def _response_items(answer: Answer) -> list[Document]:
    items: list[Document] = []
    if answer.text or not answer.tools:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        message = {"type": "message", "id": f"msg_{answer.identity}", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [part]})
    for index, (name, arguments) in enumerate(answer.tools):
        identity = f"{index}_{answer.identity[:8]}"
        call = {"type": "function_call", "id": f"fc_{identity}", "call_id": f"call_{identity}", "name": name}
        items.append({**call, "arguments": arguments, "status": "completed"})
    return items


def _response(answer: Answer, status: str, items: list[Document]) -> Document:
    done = status != "in_progress"
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return {
        "id": f"resp_{answer.identity}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": answer.finish} if done and status == "incomplete" else None,
        "model": answer.model,
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
    }


def _response_status(answer: Answer) -> str:
    return "incomplete" if answer.finish and answer.finish != "completed" else "completed"


def _responses_whole(answer: Answer) -> Document:
    return _response(answer, _response_status(answer), _response_items(answer))


def _responses_events(answer: Answer) -> Iterator[Event]:
    number = -1

    def event(kind: str, *, is_token: bool = False, **fields: Any) -> Event:
        nonlocal number
        number += 1
        return Event({"type": kind, "sequence_number": number, **fields}, kind, is_token)

    started = _response(answer, "in_progress", [])
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    items = _response_items(answer)
    for index, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            begun = {**item, "status": "in_progress", "content": []}
            yield event("response.output_item.added", output_index=index, item=begun)
            part, inside = item["content"][0], {**place, "content_index": 0}
            yield event("response.content_part.added", **inside, part={**part, "text": ""})
            for piece in answer.pieces:
                yield event("response.output_text.delta", is_token=True, **inside, delta=piece, logprobs=[])
            yield event("response.output_text.done", **inside, text=answer.text, logprobs=[])
            yield event("response.content_part.done", **inside, part=part)
        else:
            begun = {**item, "status": "in_progress", "arguments": ""}
            yield event("response.output_item.added", output_index=index, item=begun)
            for piece in _PIECE.findall(item["arguments"]):
                yield event("response.function_call_arguments.delta", is_token=True, **place, delta=piece)
            done = {"arguments": item["arguments"], "name": item["name"]}
            yield event("response.function_call_arguments.done", **place, **done)
        yield event("response.output_item.done", output_index=index, item=item)
    status = _response_status(answer)
    yield event(f"response.{status}", response=_response(answer, status, items))


# ── Anthropic ──────────────────────────────────────────────────────────────────────────────────────


def _anthropic_finish(answer: Answer) -> str:
    return answer.finish or ("tool_use" if answer.tools else "end_turn")


def _anthropic_blocks(answer: Answer) -> list[Document]:
    blocks: list[Document] = [{"type": "text", "text": answer.text}] if answer.text or not answer.tools else []
    for index, (name, arguments) in enumerate(answer.tools):
        identity = f"toolu_{index}_{answer.identity[:8]}"
        blocks.append({"type": "tool_use", "id": identity, "name": name, "input": orjson.loads(arguments)})
    return blocks


def _anthropic_whole(answer: Answer) -> Document:
    return {
        "id": f"msg_{answer.identity}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": _anthropic_blocks(answer),
        "stop_reason": _anthropic_finish(answer),
        "stop_sequence": None,
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    }


def _anthropic_events(answer: Answer) -> Iterator[Event]:
    def event(kind: str, *, is_token: bool = False, **fields: Any) -> Event:
        return Event({"type": kind, **fields}, kind, is_token)

    usage = {"input_tokens": answer.input_tokens, "output_tokens": 0}
    started = {**_anthropic_whole(answer), "content": [], "stop_reason": None, "usage": usage}
    yield event("message_start", message=started)
    yield event("ping")
    for index, block in enumerate(_anthropic_blocks(answer)):
        if block["type"] == "text":
            yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            pieces, kind, key = answer.pieces, "text_delta", "text"
        else:
            yield event("content_block_start", index=index, content_block={**block, "input": {}})
            pieces = _PIECE.findall(json.dumps(block["input"], ensure_ascii=False))
            kind, key = "input_json_delta", "partial_json"
        for piece in pieces:
            yield event("content_block_delta", is_token=True, index=index, delta={"type": kind, key: piece})
        yield event("content_block_stop", index=index)
    end = {"stop_reason": _anthropic_finish(answer), "stop_sequence": None}
    yield event("message_delta", delta=end, usage={"output_tokens": answer.output_tokens})
    yield event("message_stop")


# ── Gemini ─────────────────────────────────────────────────────────────────────────────────────────


def _gemini_document(answer: Answer, parts: list[Document], *, is_last: bool) -> Document:
    candidate: Document = {"content": {"parts": parts, "role": "model"}, "index": 0}
    document: Document = {"candidates": [candidate], "modelVersion": answer.model, "responseId": answer.identity}
    if is_last:
        candidate["finishReason"] = answer.finish or "STOP"
        document["usageMetadata"] = {
            "promptTokenCount": answer.input_tokens,
            "candidatesTokenCount": answer.output_tokens,
            "totalTokenCount": answer.input_tokens + answer.output_tokens,
        }
    return document


def _gemini_calls(answer: Answer) -> list[Document]:
    return [{"functionCall": {"name": name, "args": orjson.loads(arguments)}} for name, arguments in answer.tools]


def _gemini_whole(answer: Answer) -> Document:
    parts = [{"text": answer.text}] if answer.text or not answer.tools else []
    return _gemini_document(answer, [*parts, *_gemini_calls(answer)], is_last=True)


def _gemini_events(answer: Answer) -> Iterator[Event]:
    for piece in answer.pieces:
        yield Event(_gemini_document(answer, [{"text": piece}], is_last=False), is_token=True)
    yield Event(_gemini_document(answer, _gemini_calls(answer) or [{"text": ""}], is_last=True))


# ── Ollama ─────────────────────────────────────────────────────────────────────────────────────────


def _ollama_document(answer: Answer, content: str, *, is_last: bool) -> Document:
    message: Document = {"role": "assistant", "content": content}
    document = {"model": answer.model, "created_at": "1970-01-01T00:00:00Z", "message": message, "done": is_last}
    if is_last:
        if answer.tools:
            message["tool_calls"] = [
                {"function": {"name": name, "arguments": orjson.loads(arguments)}} for name, arguments in answer.tools
            ]
        document["done_reason"] = answer.finish or "stop"
        document |= {"prompt_eval_count": answer.input_tokens, "eval_count": answer.output_tokens}
    return document


def _ollama_whole(answer: Answer) -> Document:
    return _ollama_document(answer, answer.text, is_last=True)


def _ollama_events(answer: Answer) -> Iterator[Event]:
    for piece in answer.pieces:
        yield Event(_ollama_document(answer, piece, is_last=False), is_token=True)
    yield Event(_ollama_document(answer, "", is_last=True))


class Provider(msgspec.Struct, frozen=True):
    """How one API answers."""

    path: re.Pattern[str]
    """The end of the path of its requests."""
    whole: Callable[[Answer], Document]
    events: Callable[[Answer], Iterator[Event]]
    is_lines: bool = False
    """Whether its streams are lines of JSON, and not server-sent events."""
    streams: bool = False
    """Whether it streams unless a request says `stream: false`."""


PROVIDERS: Final[dict[str, Provider]] = {
    "openai": Provider(re.compile(r"/chat/completions/?$"), _chat_whole, _chat_events),
    "openai-responses": Provider(re.compile(r"/responses/?$"), _responses_whole, _responses_events),
    "anthropic": Provider(re.compile(r"/messages/?$"), _anthropic_whole, _anthropic_events),
    "gemini": Provider(re.compile(r":(?:g|streamG)enerateContent$"), _gemini_whole, _gemini_events),
    "ollama": Provider(re.compile(r"/api/chat/?$"), _ollama_whole, _ollama_events, is_lines=True, streams=True),
}
"""The value of `provider` in a rule → its forms."""
