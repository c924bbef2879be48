"""APIs of large language models: the request's model, and the answer, whole or as a stream.

The APIs are OpenAI's chat completions, completions, responses and embeddings, Anthropic's messages, Gemini's
generateContent, Ollama's chat and generate, and those of other servers that are compatible with one of them. A request
is recognised by path and form, an answer by its form alone, because a `response` record has no request body.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from mockrec.formats.operations.llm_answer import LlmAnswer, answer_of
from mockrec.formats.operations.message import Headers, OperationMessage, media_type, path_of
from mockrec.formats.operations.spec import Facts, FactType, Operation, ProtocolSpec
from mockrec.formats.text.late_regex import late_regex

_PATH: Final = late_regex(
    r"/(?:(?P<chat>chat/completions|messages|responses|api/chat|completions/chat)"
    r"|(?P<completion>completions|api/generate)|(?P<embeddings>embeddings|api/embed|api/embeddings)"
    r"|(?:models/)?(?P<model>[^/]{1,200}):(?P<gemini>generateContent|streamGenerateContent|embedContent))/?$"
)
_CERTAIN: Final = late_regex(
    r"/(?:chat/completions|v1/completions|v1/responses|v1/embeddings)/?$|:(?:g|streamG)enerateContent$"
)
_INPUTS: Final = ("messages", "input", "contents", "prompt", "content")
"""One of these is in every request."""


def _recognise(method: str, target: str, headers: Headers) -> bool:
    if method != "POST" or media_type(headers) != "application/json":
        return False
    return "anthropic-version" in headers or _CERTAIN.search(path_of(target)) is not None


def _request(message: OperationMessage) -> Operation | None:
    if message.method != "POST" or "json" not in message.media_type:
        return None
    known = _PATH.search(message.path)
    if known is None:
        return None
    document = message.json
    if not isinstance(document, dict) or not any(key in document for key in _INPUTS):
        return None
    model = document.get("model")
    if not isinstance(model, str):
        model = unquote(known["model"] or "")
        if not model and _CERTAIN.search(message.path) is None:
            return None
    kind = "chat"
    if known["completion"]:
        kind = "completion"
    elif known["embeddings"] or known["gemini"] == "embedContent":
        kind = "embeddings"
    facts: dict[str, tuple[Any, ...]] = {"llm.model": (model,)} if model else {}
    return Operation("llm", (f"{kind} {model}".rstrip(),), facts)


def answer_of_response(message: OperationMessage) -> LlmAnswer | None:
    """Return what a response of an LLM API says; None if it is none. Raises `MalformedMessageError`."""
    return answer_of(message.text, message.media_type) if message.data else None


def _response(message: OperationMessage) -> Facts:
    answer = answer_of_response(message)
    return {} if answer is None else facts_of(answer)


def facts_of(answer: LlmAnswer) -> Facts:
    """Return the facts of an answer, as far as it has them."""
    named = {
        "llm.model": answer.model,
        "llm.finish": answer.finish,
        "llm.tokens.input": answer.input_tokens,
        "llm.tokens.output": answer.output_tokens,
        "llm.error": answer.error,
    }
    facts: dict[str, tuple[Any, ...]] = {name: (value,) for name, value in named.items() if value not in (None, "")}
    if answer.tools:
        facts["llm.tool"] = tuple(dict.fromkeys(tool.name for tool in answer.tools))
    return facts


LLM: Final = ProtocolSpec(
    name="llm",
    hints=('"model"', "enerateContent", "embedContent", "/completions", "/embeddings", "anthropic-version"),
    recognise=_recognise,
    request=_request,
    response=_response,
    facts={
        "llm.model": FactType.TEXT,
        "llm.finish": FactType.TEXT,
        "llm.tokens.input": FactType.NUMBER,
        "llm.tokens.output": FactType.NUMBER,
        "llm.tool": FactType.TEXT,
        "llm.error": FactType.TEXT,
    },
)
