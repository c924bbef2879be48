"""What `show` says of the operation of an exchange: its name and facts, and the answer of an LLM, assembled.

Yields lines that are not escaped yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mockrec.cli.printing import duration
from mockrec.formats.operations.first_token import FirstTokens
from mockrec.formats.operations.llm import answer_of_response
from mockrec.formats.operations.llm_answer import LlmAnswer
from mockrec.formats.operations.message import MalformedMessageError, message_of
from mockrec.formats.operations.readers import facts_of_response, operation_of_record
from mockrec.formats.operations.spec import Facts

Record = Mapping[str, Any]

_REQUESTS = ("request", "websocket-request", "websocket-message-received")
_MOST_VALUES = 10


def operation_lines(records: Sequence[Record], bodies_folder: Path | None) -> Iterator[str]:
    """Yield the lines; none for an exchange without an operation."""
    tokens = FirstTokens(bodies_folder)
    elapsed = None
    for record in records:
        found = tokens.add(record)
        elapsed = found if elapsed is None else elapsed
        if record["type"] in _REQUESTS:
            operation = operation_of_record(record, bodies_folder)
            if operation is not None:
                yield f"operation: {operation.name or '(malformed)'}  ({operation.protocol})"
                yield from _facts(operation.facts)
                if operation.finding:
                    yield f"    finding: {operation.finding}"
        elif record["type"] == "response":
            yield from _response(record, bodies_folder, elapsed)


def _response(record: Record, folder: Path | None, elapsed: float | None) -> Iterator[str]:
    message = message_of(record, folder)
    facts, finding = facts_of_response(message)
    if facts:
        yield "answer:"
        yield from _facts(facts)
    if finding:
        yield f"    finding: {finding}"
    if not any(name.startswith("llm.") for name in facts):
        return
    try:
        answer = answer_of_response(message)
    except MalformedMessageError:
        return
    if answer is not None:
        yield from _llm(answer, record.get("duration"), elapsed)


def _facts(facts: Facts) -> Iterator[str]:
    for name, values in facts.items():
        more = f", … {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
        yield f"    {name}: {', '.join(map(str, values[:_MOST_VALUES]))}{more}"


def _llm(answer: LlmAnswer, total: Any, elapsed: float | None) -> Iterator[str]:
    if elapsed is not None:
        yield f"    llm.ttft: {duration(elapsed)}"
        rate = tokens_per_second(answer, total, elapsed)
        if rate is not None:
            yield f"    tokens a second: {rate:.1f}"
    if answer.finding:
        yield f"    finding: {answer.finding}"
    for tool in answer.tools:
        yield f"    tool call: {tool.name} {''.join(tool.arguments) or '{}'}"
    if answer.text:
        yield f"    text: {json.dumps(answer.text, ensure_ascii=False)}"


def tokens_per_second(answer: LlmAnswer, total: Any, elapsed: float) -> float | None:
    """Return the rate from the first token to the end of the response; `total` and `elapsed` are in milliseconds from
    the start of the request. None where it is not known."""
    if not answer.output_tokens or not isinstance(total, (int, float)) or total <= elapsed:
        return None
    return answer.output_tokens / ((total - elapsed) / 1000)
