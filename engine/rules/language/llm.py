"""`llm`: the keys of the step that answers as the API of a large language model does."""

from __future__ import annotations

import json
from typing import Final

from mockrec.engine.rules.language.step_entries import StepWord, record_step
from mockrec.engine.rules.model import Llm, SourceLocation
from mockrec.engine.rules.yaml.containers import List
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.types import AnyJson, Duration, Enum, Int, Number, Str

LLM_PROVIDERS: Final = ("openai", "openai-responses", "anthropic", "gemini", "ollama")


def _call(given: ParsedMapping) -> tuple[str, str]:
    """A call of a tool: its name, and its arguments as JSON."""
    return given.get("name"), json.dumps(given.get("arguments", {}), ensure_ascii=False)


_CALL = Record(
    {
        "name": Key(Str(empty=False), "The tool.", required=True),
        "arguments": Key(AnyJson(), "Its arguments, an object ({})."),
    },
    _call,
)
_TOKENS = Record(
    {"input": Key(Int(0), "Tokens of the request."), "output": Key(Int(0), "Tokens of the answer.")},
    lambda given: (given.get("input"), given.get("output")),
)


def _llm(given: ParsedMapping, place: SourceLocation) -> Llm:
    named = given.fields("provider", "model", "text", "toolCalls", "finishReason", "tokensPerSecond", "firstTokenAfter")
    named["input_tokens"], named["output_tokens"] = given.get("tokens", (None, None))
    return Llm(place, **named)


LLM_STEPS: Final[dict[str, StepWord]] = {
    "llm": record_step(
        "Answers as the API of a large language model does, whole or as a stream, as the request asks.",
        {
            "provider": Key(Enum(*LLM_PROVIDERS), "Whose API it is; without it, the path tells."),
            "model": Key(Str(empty=False), "The model that answers (that of the request)."),
            "text": Key(Str(), "The text of the answer."),
            "toolCalls": Key(List(_CALL), "Calls of tools that the model asks for."),
            "finishReason": Key(Str(empty=False), "Why the answer ends, in the provider's word."),
            "tokens": Key(_TOKENS, "Token counts (those of the text; of the request a quarter of its bytes)."),
            "tokensPerSecond": Key(Number(low=0.001), "How fast a stream is, a word for a token; without it at once."),
            "firstTokenAfter": Key(Duration(), "How long a stream's first token takes (0)."),
        },
        _llm,
        some_of=[("text", "toolCalls")],
    ),
}
