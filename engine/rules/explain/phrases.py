"""Phrases for the parts of a rule: what it asks for, what it does, how often. Everything shown is bounded and
has its control characters escaped, because explanations end up in logs, terminals and HTTP answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mockrec.engine.rules.model import (
    BodySource,
    Change,
    Close,
    Condition,
    Delay,
    Emit,
    Forward,
    HeaderChanges,
    Informational,
    JsonRpc,
    Malformed,
    MultipartPart,
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

MAX_SHOWN = 120
"""Characters of one value; longer ones are cut."""

_MOST_PRINTED = 10_000
"""Characters that anything shown is made of; nearly everything is cut much shorter."""
_TIMES = {1: "once", 2: "twice", 3: "thrice"}


def shorten(text: str, limit: int = MAX_SHOWN) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shown(value: Any) -> str:
    """A value as JSON on one line, cut where it is long."""
    if isinstance(value, str):
        value = value[: MAX_SHOWN + 1]
    return shorten(json.dumps(_plain(value), ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """`text` with control characters and line breaks escaped; of a very long one only the beginning."""
    text = text[:_MOST_PRINTED]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def expected_words(expected: Any) -> str:
    """An expected value or condition: `"a"`, `including "a"`, `> 3 and < 5`, `absent`."""
    if not isinstance(expected, Condition):
        return shown(expected)
    words = []
    if expected.absent:
        words.append("absent")
    if expected.present:
        words.append("present")
    if expected.equals is not None:
        words.append(shown(expected.equals))
    if expected.regex is not None:
        words.append(f"matching /{shorten(printable(expected.regex))}/")
    if expected.includes is not None:
        words.append(f"including {shown(expected.includes)}")
    for sign, bound in ((">", expected.gt), (">=", expected.gte), ("<", expected.lt), ("<=", expected.lte)):
        if bound is not None:
            words.append(f"{sign} {bound:g}")
    return " and ".join(words) or "present"


def when_words(when: When) -> str:
    """`GET /hello with header x-a "1"`; an empty `when` is `any request`."""
    methods = when.method if when.method is not None and "ANY" not in when.method else ()
    words = [" or ".join(methods)] if methods else []
    places = (when.path, when.url, when.path_template)
    words += [shorten(printable(place)) for place in places if place is not None]
    for name, regex in (("path", when.path_regex), ("URL", when.url_regex)):
        if regex is not None:
            words.append(f"{name} matching /{shorten(printable(regex))}/")
    details = _detail_words(when)
    if not words:
        words.append("any request")
    return " ".join([*words, " and ".join(details)] if details else words)


def _detail_words(when: When) -> list[str]:
    details = []
    for name, value in (
        ("for host", when.host),
        ("for hostname", when.hostname),
        ("for port", when.port),
        ("by", when.protocol),
    ):
        if value is not None:
            details.append(f"{name} {value}")
    for name, entries in (
        ("header", when.headers),
        ("query parameter", when.query),
        ("cookie", when.cookies),
        ("form field", when.form),
        ("JSON at", when.json_path),
    ):
        for key, expected in (entries or {}).items():
            details.append(f"with {name} {shorten(printable(key))} {expected_words(expected)}")
    if when.exact_query is not None:
        details.append(f"with the query {shown(when.exact_query)}" if when.exact_query else "without a query")
    details += [f"with a part {_part_words(part)}" for part in when.multipart or ()]
    if when.body is not None:
        details.append(f"with the body {shown(when.body)}")
    if when.body_includes is not None:
        details.append(f"with {shown(when.body_includes)} in the body")
    if when.body_regex is not None:
        details.append(f"with a body matching /{shorten(printable(when.body_regex))}/")
    if "json" in when.given:
        details.append(f"with the JSON {shown(when.json)}")
    if "jsonIncludes" in when.given:
        details.append(f"with JSON including {shown(when.json_includes)}")
    if when.json_schema is not None:
        details.append("with JSON valid by a schema")
    if when.json_rpc is not None:
        details.append(f"with the JSON-RPC call {shown(when.json_rpc)}")
    if when.websocket is not None:
        details.append("upgrading to WebSocket" if when.websocket else "not upgrading to WebSocket")
    if when.not_ is not None:
        details.append(f"but not ({when_words(when.not_)})")
    if when.any_of is not None:
        details.append(f"being one of ({' | '.join(when_words(choice) for choice in when.any_of)})")
    if when.python is not None:
        details.append(f"accepted by {handler_words(when.python)}")
    return details


def _part_words(part: MultipartPart) -> str:
    given = {"name": part.name, "filename": part.filename, "content": part.content}
    return shown({key: value for key, value in given.items() if value is not None})


def handler_words(handler: str) -> str:
    """`/absolute/handlers.py:name` without its folder."""
    return printable(handler.rpartition("/")[2])


def seconds(value: float) -> str:
    """`100ms`, `2s`, `1.5s`."""
    return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"


def step_words(step: Step) -> str:
    """What a step does, as a phrase: `reply 200`, `wait 100ms`."""
    match step:
        case Reply(body=BodySource(folder=str(folder))):
            return f"reply from the folder {shorten(printable(folder.rpartition('/')[2]))}"
        case Reply() | Stream():
            return f"{step.name} {step.status}"
        case JsonRpc():
            return "JSON-RPC error" if step.error is not None else "JSON-RPC result"
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
            return f"webhook {shorten(printable(step.url))}"
        case Emit():
            return f"emit {shown(step.type)}"
        case Change():
            return f"change {_change_words(step)}"
        case Passthrough():
            return _passing_words(step)
        case Replay():
            return f"replay {shorten(printable(step.session.rpartition('/')[2]))}"
        case _:
            return step.name


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
    """`the request (method, body) and the response (headers)`; empty where nothing is changed."""
    changes = []
    for name, changed in (
        ("request", _changed_in_request(step.request)),
        ("response", _changed_in_response(step.response)),
    ):
        if changed:
            changes.append(f"the {name} ({', '.join(changed)})")
    return " and ".join(changes)


def _server_words(step: Forward) -> str:
    host = shorten(printable(f"[{step.to_host}]" if ":" in step.to_host else step.to_host))
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
    """How often a rule answers; empty where the rule does not say."""
    if rule.times is None:
        return ""
    return "always" if rule.times == "always" else _TIMES.get(int(rule.times), f"{rule.times} times")
