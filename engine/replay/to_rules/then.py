"""Convert a recording to the `then` of a rule that gives the same response."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from mockrec.engine.message.response import REASONS
from mockrec.engine.replay.send.target import without_framing
from mockrec.engine.replay.serve.cassette import Cassette, RecordedExchange
from mockrec.engine.replay.serve.step import Unservable, cut
from mockrec.engine.replay.session.editable import MARK, pairs_of, raw_headers, shallow_json
from mockrec.engine.replay.session.recorded import is_bare_redirect
from mockrec.engine.rules.language.reply import FRAMING_IN_TRAILERS
from mockrec.engine.steps.reply import json_bytes
from mockrec.engine.upstream.headers import without
from mockrec.engine.wire.syntax import BODILESS_STATUSES
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.text.json import is_deeper

_READABLE = 30
"""Maximum depth of JSON that is written as YAML; deeper bodies are written as text."""
LARGE = 4 * 1024
"""Bodies with more bytes are written to files."""
_DROPPED = frozenset({"date", "content-encoding"})
"""mockrec sends its own `Date`, and the bodies in rules have no content coding."""
_LONGEST_FILLER = 64 * 1024

Save = Callable[[bytes, str], str]
"""Save a body with this content type to a file and return the file's name as it stands in the rule."""


def then_of(cassette: Cassette, found: RecordedExchange, method: str, save: Save) -> Any:
    """Return one step, or a list of steps. Raises Unservable."""
    assert found.answer is not None
    record = cassette.read(found.answer)
    if record["type"] == "abort" and not record.get("error"):
        raise Unservable("its client left in the middle of a stream of events")
    if record["type"] == "abort":
        return "close" if (record.get("error") or {}).get("code") == "E_RULE_CLOSE" else "reset"
    if record["type"] == "websocket-accepted":
        return {"script": _script(cassette, found)}
    steps: list[Any] = []
    for spot in found.said:
        interim = cassette.read(spot)
        status = interim.get("statusCode")
        if interim["type"] == "response-information" and status not in (100, 101):
            steps.append({"informational": {"status": status, **_headers(without_framing(raw_headers(interim)))}})
    steps.append({"reply": _reply(record, cassette, method, save)})
    return steps if len(steps) > 1 else steps[0]


def _reply(record: Mapping[str, Any], cassette: Cassette, method: str, save: Save) -> dict[str, Any]:
    status = record.get("statusCode")
    if not isinstance(status, int) or status < 200:
        raise Unservable("it has no status that a rule can answer with")
    reply: dict[str, Any] = {} if status == 200 else {"status": status}
    reason = record.get("statusMessage")
    if isinstance(reason, str) and reason and reason != REASONS.get(status):
        reply["statusMessage"] = reason
    fields = [pair for pair in without_framing(raw_headers(record)) if pair[0].lower() not in _DROPPED]
    reply.update(_headers(fields))
    if method == "HEAD":
        reply.update(_filler(record))
    elif status not in BODILESS_STATUSES and not is_bare_redirect(record):
        kind = next((value for name, value in fields if name.lower() == "content-type"), "")
        reply.update(_body(record.get("body"), cassette, kind, save))
        trailers = without(pairs_of(record.get("rawTrailers")), *FRAMING_IN_TRAILERS)
        if trailers:
            reply["trailers"] = _headers(trailers)["headers"]
    return reply


def _headers(fields: Any) -> dict[str, Any]:
    """Return the fields as a mapping, or as a list of pairs if a name occurs in several spellings."""
    if not fields:
        return {}
    table: dict[str, Any] = {}
    lower: dict[str, str] = {}
    for name, value in fields:
        if lower.setdefault(name.lower(), name) != name:
            return {"headers": [[*pair] for pair in fields]}
        table.setdefault(name, []).append(value)
    return {"headers": {name: values[0] if len(values) == 1 else values for name, values in table.items()}}


def _filler(record: Mapping[str, Any]) -> dict[str, str]:
    """Return a placeholder body for HEAD: only its length is sent (`Content-Length`), so any content will do."""
    length = next((value for name, value in raw_headers(record) if name.lower() == "content-length"), "")
    size = int(length) if length.isdecimal() else 0
    return {"body": "." * size} if 0 < size <= _LONGEST_FILLER else {}


def _body(content: Any, cassette: Cassette, kind: str, save: Save) -> dict[str, Any]:
    if not isinstance(content, Mapping) or not content.get("size"):
        return {}
    try:
        body = Body.from_record(content, cassette.folder)
        data = body.bytes
    except SessionError as error:
        raise Unservable(f"its body cannot be read: {error}") from None
    if body.truncated:
        raise Unservable(cut(body))
    if len(data) > LARGE:
        return {"file": save(data, kind)}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
    if "json" in kind.lower():
        try:
            value = shallow_json(text)
            if isinstance(value, (dict, list)) and json_bytes(value) == data and not is_deeper(value, _READABLE):
                return {"json": value}
        except ValueError:
            pass
    return {"body": text}


# ── WebSockets ─────────────────────────────────────────────────────────────────────────────────────


def _script(cassette: Cassette, found: RecordedExchange) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for spot in found.said:
        record = cassette.read(spot)
        kind = record["type"]
        if kind == "websocket-close" and record.get("initiator") == "server":
            lines.append({"close": _close(record)})
        elif kind in ("websocket-message-sent", "websocket-message-received"):
            content = Body.from_record(record.get("content") or {"size": 0}, cassette.folder)
            if content.truncated:
                raise Unservable("a message of its WebSocket was cut")
            sent = kind == "websocket-message-sent"
            lines.append(_sent(record, content.bytes) if sent else _expected(content.bytes))
    return lines or [{"wait": "0s"}]


def _sent(record: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    if record.get("isBinary"):
        return {"send": {"base64": base64.b64encode(data).decode("ascii")}}
    return {"send": data.decode("utf-8", "replace")}


def _expected(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8", "replace")
    if not MARK.search(text):
        return {"expect": text}
    pattern = ".*".join(re.escape(piece) for piece in MARK.split(text))
    return {"expect": {"regex": rf"\A{pattern}\Z"}}


def _close(record: Mapping[str, Any]) -> Any:
    code = record.get("serverCloseCode", record.get("closeCode", 1000))
    reason = record.get("serverCloseReason", record.get("closeReason"))
    if not isinstance(code, int) or code < 1000:
        return None
    return {"code": code, "reason": reason} if reason else code
