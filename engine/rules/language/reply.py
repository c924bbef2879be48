"""The steps that send a response of the rule file: `reply`, `stream`, `malformed`, and the keys that they share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from mockrec.engine.rules.model import BodySource, Chunk, HeaderPairs, Malformed, Reply, SourceLocation, Stream
from mockrec.engine.rules.templates.check import check_headers, check_text, check_tree
from mockrec.engine.rules.yaml.containers import List
from mockrec.engine.rules.yaml.context import Rejected
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import HEADER_VALUE, HEADERS, Base64, File, FolderType, Pattern
from mockrec.engine.rules.yaml.types import (
    TEXT_TYPES,
    AnyJson,
    Bool,
    Duration,
    FirstOf,
    Int,
    InvalidValue,
    ScalarType,
    Schema,
    Size,
    Str,
)
from mockrec.engine.wire.syntax import BODILESS_STATUSES, FRAMING_NAMES
from mockrec.engine.wire.urls import normal_path

_INTERIM = "a final answer has 200–599; send 1xx with the step `informational`"
_STATUS: Final = Int(
    100,
    599,
    advice={
        **dict.fromkeys(range(100, 200), _INTERIM),
        101: "101 is sent by accepting a WebSocket, never as a reply",
    },
)
FRAMING_IN_TRAILERS: Final = frozenset({*FRAMING_NAMES, "trailer", "host", "content-encoding"})
"""Names in lower case of fields that no trailer section may have (RFC 9110, 6.5.1)."""


class _OneLine(ScalarType[str]):
    """Text that fits into a status line or an event-stream field."""

    expects = "text in one line"

    def parse(self, text: str, plain: bool) -> str:
        if any(mark in text for mark in "\r\n\0"):
            raise InvalidValue
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": list(TEXT_TYPES), "pattern": r"^[^\r\n]*$"}


class _StatusMessage(_OneLine):
    """A reason phrase (RFC 9112, section 4): Latin-1 text without control characters."""

    def parse(self, text: str, plain: bool) -> str:
        try:
            return HEADER_VALUE.parse(text, plain)
        except InvalidValue as fault:
            raise InvalidValue(str(fault).replace("a header value", "a status message")) from None


_HEAD_KEYS = {
    "status": Key(_STATUS, "The status, 200–599 (200)."),
    "statusMessage": Key(_StatusMessage(), "The reason phrase (the usual one of the status)."),
    "headers": Key(HEADERS, "Headers: name → value or list of values; or a list of pairs."),
}
_BODY_KEYS = {
    "body": Key(Str(), "The body as text, sent as UTF-8."),
    "json": Key(AnyJson(), "The body as data, sent as JSON."),
    "file": Key(File(), "A file whose content is the body, read for every answer."),
    "base64": Key(Base64(), "The body as base64."),
}
_FOLDER_KEYS = {
    "folder": Key(FolderType(), "A folder: the request's path names the file that is the body."),
    "index": Key(
        FirstOf(Bool(only=False), Pattern("the name of a file", r"[^/\\\0]+"), expects="the name of a file, or false"),
        "With `folder`: the file that stands for a folder (index.html), or false.",
    ),
    "prefix": Key(Pattern("a path such as /static", r"/[^?#]*"), "With `folder`: how the paths of its files begin."),
}
BODY_KEYS: Final = tuple(_BODY_KEYS)
ANSWER_KEYS: Final = {
    **_HEAD_KEYS,
    **_BODY_KEYS,
    "trailers": Key(HEADERS, "Fields sent after the body."),
    "template": Key(Bool(), "Whether `{{ }}` in body and headers is filled in (false)."),
}
REPLY_KEYS: Final = {**ANSWER_KEYS, **_FOLDER_KEYS}
ONE_BODY: Final = (*BODY_KEYS, "folder")

# ── reply ──────────────────────────────────────────────────────────────────────────────────────────


def body_source(given: ParsedMapping) -> BodySource:
    """The given body."""
    key = next((key for key in BODY_KEYS if key in given), None)
    if key is None:
        return BodySource()
    value, place = given.get(key), given.place(key)
    if key == "json":
        return BodySource(json=value, is_json=True, place=place)
    return BodySource(**{{"body": "text", "file": "file", "base64": "data"}[key]: value}, place=place)


def build_reply(given: ParsedMapping, place: SourceLocation, *, may_lie: bool = False) -> Reply:
    """The reply of the given keys. `may_lie`: Content-Length may be wrong, because the body is cut off anyway."""
    if "folder" in given:
        return _folder_reply(given, place)
    surplus = [key for key in ("index", "prefix") if key in given]
    for key in surplus:
        given.reject(key, f"`{key}` belongs to `folder`")
    if surplus:
        raise Rejected
    reply = Reply(
        place,
        **given.fields("status", "statusMessage", "headers", "trailers", "template"),
        body=body_source(given),
    )
    good = _check_framing(given, reply, may_lie)
    good = _check_templates(given, reply) and good
    if not good:
        raise Rejected
    if reply.status in BODILESS_STATUSES and any(key in given for key in BODY_KEYS):
        given.context.warn(reply.body.place or place, f"an answer with {reply.status} has no body; it is not sent")
    return reply


def _folder_reply(given: ParsedMapping, place: SourceLocation) -> Reply:
    """A reply from a folder; the file determines status and framing."""
    good = check_no_framing(given, "headers", given.get("headers", ()), ("transfer-encoding", "content-length"))
    for key in ("status", "statusMessage", "trailers", "template"):
        if given.get(key):
            given.reject(key, f"`{key}` cannot stand beside `folder`, whose files say it themselves")
            good = False
    if not good:
        raise Rejected
    prefix = normal_path(given.get("prefix", "/")).rstrip("/")
    source = BodySource(folder=given.get("folder"), place=given.place("folder"))
    index = given.get("index", "index.html") or None
    return Reply(place, **given.fields("headers"), body=source, index=index, prefix=prefix)


def _check_framing(given: ParsedMapping, reply: Reply, may_lie: bool) -> bool:
    good = check_no_framing(given, "trailers", reply.trailers, FRAMING_IN_TRAILERS)
    good = check_no_framing(given, "headers", reply.headers, ("transfer-encoding",)) and good
    lengths = [value for name, value in reply.headers if name.lower() == "content-length"]
    if not lengths or may_lie:
        return good
    try:
        actual = _body_length(given, reply)
    except Rejected:
        return False
    if actual is None:
        given.reject("headers", "the length of a template is not known before; leave Content-Length out")
        return False
    if lengths != [str(actual)]:
        stated = ", ".join(lengths)
        message = f"Content-Length is {stated} but the body has {actual} bytes; `malformed` sends wrong ones"
        given.reject("headers", message)
        return False
    return good


def _body_length(given: ParsedMapping, reply: Reply) -> int | None:
    """Bytes of the body as sent; None if they depend on the request."""
    body = reply.body
    if body.file is not None:
        return len(given.context.content(body.file, given.nodes["file"], f"{given.where}.file"))
    if body.data is not None:
        return len(body.data)
    if reply.template:
        return None
    if body.is_json:
        return len(json.dumps(body.json, ensure_ascii=False, separators=(",", ":")).encode())
    return len((body.text or "").encode())


def check_no_framing(given: ParsedMapping, key: str, pairs: HeaderPairs, names: Iterable[str]) -> bool:
    """Whether header fields leave the framing (RFC 9112, section 6) to mockrec; reports each field that does not."""
    found = [name for name, _ in pairs if name.lower() in names]
    for name in found:
        given.reject(key, f"{name} cannot be set here, framing is mockrec's own; `malformed: raw` can send it")
    return not found


_LOOKS_LIKE_TEMPLATE: Final = re.compile(r"\{\{-?\s*(?:request|count|now|uuid|random)\b")


_as_json = json.JSONEncoder(default=str).encode  # `json.dumps` makes an encoder each time


def _warn_of_templates(given: ParsedMapping, texts: Iterable[tuple[str, Any]]) -> None:
    """Warn of `{{ request… }}` without `template: true`: it is sent unchanged."""
    for key, value in texts:
        if value and _LOOKS_LIKE_TEMPLATE.search(value if isinstance(value, str) else _as_json(value)):
            message = "`{{ … }}` is sent as it stands; say `template: true` beside it, or `false` if that is meant"
            given.context.warn(given.place(key), message)
            return


def _check_templates(given: ParsedMapping, reply: Reply) -> bool:
    if not reply.template:
        body = reply.body
        texts = [("body", body.text), ("json", body.json if body.is_json else None)]
        if "template" not in given:
            fields = [(key, " ".join(value for _, value in given.get(key, ()))) for key in ("headers", "trailers")]
            _warn_of_templates(given, [*texts, *fields])
        return True
    context, good = given.context, True
    if reply.body.text is not None:
        good = check_text(reply.body.text, given.place("body"), context)
    elif reply.body.is_json:
        good = check_tree(given.nodes["json"], f"{given.where}.json", context)
    for key, pairs in (("headers", reply.headers), ("trailers", reply.trailers)):
        if pairs:
            good = check_headers(pairs, given.place(key), context) and good
    return good


# ── stream ─────────────────────────────────────────────────────────────────────────────────────────


def _event(given: ParsedMapping) -> Chunk:
    """One server-sent event in its wire format (HTML standard, 9.2.6)."""
    lines = [f"{field}: {given.get(field)}" for field in ("event", "id") if field in given]
    if "data" in given:
        data = given.get("data").replace("\r\n", "\n").replace("\r", "\n")
        lines += [f"data: {line}" for line in data.split("\n")]
    return Chunk("".join(f"{line}\n" for line in (*lines, "")).encode(), given.get("after", 0.0))


_AFTER = Key(Duration(), "How long after the one before (0).")
_CHUNK = Record(
    {"data": Key(Str(), "The piece as text.", required=True), "after": _AFTER},
    lambda given: Chunk(given.get("data").encode(), given.get("after", 0.0)),
)
_EVENT = Record(
    {
        "event": Key(_OneLine(), "The event's type."),
        "data": Key(Str(), "The event's data; several lines become several `data:` lines."),
        "id": Key(_OneLine(), "The event's id."),
        "after": _AFTER,
    },
    _event,
    some_of=[("event", "data", "id")],
)
_SSE_DEFAULTS = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))


def build_stream(given: ParsedMapping, place: SourceLocation) -> Stream:
    """The stream of the given keys."""
    named = given.fields("status", "statusMessage", "headers", "trailers")
    headers = named.pop("headers", ())
    good = check_no_framing(given, "headers", headers, ("transfer-encoding", "content-length"))
    good = check_no_framing(given, "trailers", given.get("trailers", ()), FRAMING_IN_TRAILERS) and good
    if not good:
        raise Rejected
    if "sse" in given:
        names = {name.lower() for name, _ in headers}
        headers += tuple(pair for pair in _SSE_DEFAULTS if pair[0] not in names)
    return Stream(place, **named, headers=headers, chunks=given.get("sse", given.get("chunks")))


STREAM_KEYS: Final = {
    **_HEAD_KEYS,
    "chunks": Key(List(_CHUNK), "Pieces of the body, each sent when it falls due."),
    "sse": Key(List(_EVENT), "Server-sent events, each sent when it falls due."),
    "trailers": Key(HEADERS, "Fields sent after the body."),
}

# ── malformed ──────────────────────────────────────────────────────────────────────────────────────

MALFORMED_KEYS: Final = {
    "raw": Key(Str(), "Text written to the connection as it is."),
    "truncateAfter": Key(Size(), "Cut the reply off after so many bytes of its body."),
    **ANSWER_KEYS,
}


def build_malformed(given: ParsedMapping, place: SourceLocation) -> Malformed:
    """Raw bytes, or a reply that is cut off."""
    if "truncateAfter" in given:
        if "raw" in given:
            raise given.reject("raw", "give `raw`, or `truncateAfter` with the keys of a reply")
        return Malformed(
            place,
            truncate_after=given.get("truncateAfter"),
            reply=build_reply(given, place, may_lie=True),
        )
    surplus = [key for key in given.values if key not in ("raw", "base64")]
    for key in surplus:
        given.reject(key, f"`{key}` belongs to a reply that is cut off; give `truncateAfter` too")
    if surplus:
        raise Rejected
    raw = given.get("raw")
    return Malformed(place, raw=given.get("base64") if raw is None else raw.encode())
