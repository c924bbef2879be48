"""Phrases for the parts of a rule: which requests it matches, what it does, how often."""

from __future__ import annotations

from typing import Any

from mockrec.engine.rules.matching.match import sets_of
from mockrec.engine.rules.matching.spec import AnySpec, EntriesSpec, NestedSpec, PhraseSlot, UserSpec, ValueSpec
from mockrec.engine.rules.matching.table import specs_of
from mockrec.engine.rules.model import (
    BodySource,
    Change,
    Close,
    Delay,
    Emit,
    Forward,
    GrpcReply,
    HeaderChanges,
    Informational,
    JsonRpc,
    Llm,
    Malformed,
    Passthrough,
    Python,
    Replay,
    Reply,
    RequestChanges,
    Reset,
    ResponseChanges,
    Rule,
    Step,
    Stream,
    Timeout,
    WaitForBody,
    Webhook,
    When,
)
from mockrec.engine.rules.wording import expected_words, handler_words, short, shown
from mockrec.formats.operations.grpc.status import STATUSES

_TIMES = {1: "once", 2: "twice", 3: "thrice"}


def when_words(when: When) -> str:
    """`GET /hello with header x-a "1"`; an empty `when` is `any request`."""
    specs = sorted(specs_of(when), key=lambda spec: spec.slot)
    words: list[str] = []
    details: list[str] = []
    for spec in specs:
        phrases = _matcher_phrases(spec, when.expected[spec.key])
        (words if spec.slot <= PhraseSlot.PATTERN else details).extend(filter(None, phrases))
    if not words:
        words.append("any request")
    return " ".join([*words, " and ".join(details)] if details else words)


def _matcher_phrases(spec: AnySpec, expected: Any) -> list[str]:
    match spec:
        case EntriesSpec():
            return [f"with {spec.noun} {short(name)} {expected_words(value)}" for name, value in expected.items()]
        case NestedSpec():
            return [spec.phrase.format(sets_words(spec, expected))]
        case ValueSpec() | UserSpec():
            return [spec.phrase(expected)]


def sets_words(spec: NestedSpec, expected: Any) -> str:
    """The sets of matchers that a matcher combines: `GET /a | GET /b`."""
    return " | ".join(when_words(one) for one in sets_of(spec, expected))


def seconds(value: float) -> str:
    """`100ms`, `2s`, `1.5s`."""
    return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"


def step_words(step: Step) -> str:
    """A phrase for a step: `reply 200`, `wait 100ms`."""
    match step:
        case Reply(body=BodySource(folder=str(folder))):
            return f"reply from the folder {short(folder.rpartition('/')[2])}"
        case Reply() | Stream():
            return f"{step.name} {step.status}"
        case GrpcReply():
            return f"grpc {STATUSES[step.status]}"
        case JsonRpc():
            return "JSON-RPC error" if step.error is not None else "JSON-RPC result"
        case Llm():
            return f"answer as the LLM {step.model or step.provider or 'that is asked'}"
        case Malformed(reply=Reply() as reply):
            return f"reply {reply.status} cut off after {step.truncate_after} bytes"
        case Malformed():
            return "raw bytes"
        case Python():
            return f"python {handler_words(step.handler)}"
        case Close():
            return "close the connection"
        case Reset():
            return "reset the connection"
        case Timeout():
            return "never answer"
        case Delay():
            return f"wait {_delay_words(step)}"
        case WaitForBody():
            return "wait for the body"
        case Informational():
            return f"informational {step.status}"
        case Webhook():
            return f"webhook {short(step.url)}"
        case Emit():
            return f"emit {shown(step.type)}"
        case Change():
            return f"change {_change_words(step)}"
        case Passthrough():
            return _passing_words(step)
        case Replay():
            return f"replay {short(step.session.rpartition('/')[2])}{_MISS_WORDS[step.on_miss]}"
        case _:
            return step.name


_MISS_WORDS = {"fail": "", "passthrough": ", or else pass it on", "record": ", or else pass it on and record that"}


def _delay_words(step: Delay) -> str:
    if step.uniform is not None:
        return f"{seconds(step.uniform[0])} to {seconds(step.uniform[1])}"
    if step.lognormal is not None:
        return f"about {seconds(step.lognormal[0])}"
    return seconds(step.fixed or 0.0)


def _passing_words(step: Passthrough) -> str:
    """`pass it on to http://localhost:3000, changing the request (method, body), delayed by 1s`."""
    words = [f"pass it on to {_server_words(step)}" if isinstance(step, Forward) else "pass it on"]
    if changes := _change_words(step):
        words.append(f"changing {changes}")
    if step.delay is not None:
        words.append(f"delayed by {_delay_words(step.delay)}")
    return ", ".join(words)


def _change_words(step: Passthrough | Change) -> str:
    """`the request (method, body) and the response (headers)`; empty if the step changes nothing."""
    changes = []
    for name, changed in (
        ("request", _changed_in_request(step.request)),
        ("response", _changed_in_response(step.response)),
    ):
        if changed:
            changes.append(f"the {name} ({', '.join(changed)})")
    return " and ".join(changes)


def _server_words(step: Forward) -> str:
    host = short(f"[{step.to_host}]" if ":" in step.to_host else step.to_host)
    scheme = "" if step.to_protocol is None else f"{step.to_protocol}://"
    return f"{scheme}{host}" if step.to_port is None else f"{scheme}{host}:{step.to_port}"


def _changed_in_request(changes: RequestChanges) -> list[str]:
    given = {
        "method": changes.method,
        "protocol": changes.protocol,
        "host": changes.host or changes.match_replace_host,
        "path": changes.match_replace_path,
        "query": changes.match_replace_query,
        "headers": changes.update_host_header is not None or changes.headers != HeaderChanges(),
        "body": changes.body is not None,
        "python": changes.python,
    }
    return [name for name, value in given.items() if value]


def _changed_in_response(changes: ResponseChanges) -> list[str]:
    given = {
        "status": changes.status,
        "headers": changes.headers != HeaderChanges(),
        "body": changes.body is not None,
        "python": changes.python,
    }
    return [name for name, value in given.items() if value]


def times_words(rule: Rule) -> str:
    """The number of times that a rule answers; empty if it has no `times`."""
    if rule.times is None:
        return ""
    return "always" if rule.times == "always" else _TIMES.get(int(rule.times), f"{rule.times} times")
