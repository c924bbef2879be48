"""What the program asks about operations: the protocol of a request head, the name and the facts of a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from mockrec.formats.operations.message import (
    Headers,
    MalformedMessageError,
    OperationMessage,
    body_reader,
    message_of,
    parse_json,
)
from mockrec.formats.operations.spec import Facts, Operation, ProtocolSpec
from mockrec.formats.operations.table import PROTOCOLS

_NO_FACTS: Final[Facts] = {}
_NAMED_BY_HEAD: Final = tuple(row for row in PROTOCOLS if row.named_by_head)
_MARKS: Final = (b'"query"', b'"jsonrpc"')
"""One of these is in every WebSocket message that starts an operation."""


def recognise(method: str, target: str, headers: Headers) -> str | None:
    """Return the protocol of a request, as far as its head alone tells; None for most requests.

    Called while a session is recorded, so requests without a body return at once.
    """
    if (
        method == "GET"
        and "content-type" not in headers
        and "sec-websocket-protocol" not in headers
        and "graphql" not in target
        and "gql" not in target
    ):
        return None
    if method == "POST" and _is_plain_json(target, headers):
        return None
    found = recognised(method, target, headers)
    return None if found is None else found.name


def _is_plain_json(target: str, headers: Headers) -> bool:
    """Return whether a POST is JSON as most are, whose head no protocol recognises; asked before all of them."""
    return (
        headers.get("content-type") in ("application/json", "application/json; charset=utf-8")
        and _TELLING.isdisjoint(headers)
        and "graphql" not in str(headers.get("accept"))
        and _TELLING_PATH.search(target) is None
    )


_TELLING: Final = frozenset({"anthropic-version", "mcp-protocol-version", "mcp-session-id", "soapaction"})
_TELLING_PATH: Final = re.compile(
    r"gql|graphql|rpc|mcp|completions|responses|embeddings|generateContent", re.IGNORECASE
)
"""Header fields and words of the path that may tell the protocol of a request with JSON."""


def recognised(method: str, target: str, headers: Headers) -> ProtocolSpec | None:
    """Return the row of the protocol that a request certainly has."""
    return next((row for row in PROTOCOLS if row.recognise(method, target, headers)), None)


HINTS: Final = tuple({hint: None for row in PROTOCOLS for hint in row.hints})
"""Texts of which one is in each record that may have an operation."""
LINE_HINTS: Final = "|".join(
    (
        r'"operation"\s*:\s*\{\s*"protocol"',
        *(re.escape(orjson.dumps(hint)[1:-1].decode()) for hint in HINTS),
        # An escape that no recorder writes, of a character that may be one of a hint: `\u0041` or `\/`.
        r"(?:^|[^\\])(?:\\\\)*\\(?:u00[2-7]|/)",
    )
)
"""The same as they are in JSON, as a pattern."""


def may_have_operation(line: bytes) -> bool:
    """Return whether the log's line of a request may have an operation: False for nearly all others, unparsed.

    Also for blocks of lines.
    """
    return _search_hint()(line) is not None


@cache
def _search_hint() -> Callable[[bytes], Any]:
    """Return a search for all hints at once: five times faster than one after the other."""
    # Imported here, because a recording needs none.
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    search: Callable[[bytes], Any] = re2.compile(LINE_HINTS.encode(), options).search
    return search


def can_name(method: Any, url: Any) -> bool:
    """Return whether a request with this method and URL can name an operation, whatever its body is: few GETs can."""
    return method != "GET" or (type(url) is str and ("query=" in url or "extensions=" in url))


def parts_may_have_operation(url: str, headers: bytes, text: str) -> bool:
    """Do the same with the URL, the JSON of the header fields and the body's text."""
    # No hint has a line feed, so none is found across the two parts.
    if _hints_of()(f"{url}\n{text}"):
        return True
    return _headers_may(headers) if len(headers) <= _LONGEST_HEADERS else _has_hint(headers)


@cache
def _hints_of() -> Callable[[str], list[Any]]:
    """Return a search for all hints in a short text: for a URL, a fifth of the time of one after the other."""
    # Imported here, because a recording needs none.
    from ahocorasick_rs import AhoCorasick

    found: Callable[[str], list[Any]] = AhoCorasick(HINTS).find_matches_as_indexes
    return found


_LONGEST_HEADERS: Final = 4096
_ENCODED_HINTS: Final = tuple(hint.encode() for hint in HINTS)


def _has_hint(headers: bytes) -> bool:
    return any(map(headers.__contains__, _ENCODED_HINTS))


_headers_may = lru_cache(maxsize=1024)(_has_hint)
"""The same, cached: most requests of a client have equal header fields."""


def operation_of(message: OperationMessage) -> Operation | None:
    """Return the operation of a request; None if it is of no protocol, or its body is not known as a whole.

    A malformed request of a protocol that its head names has an operation with a finding, and no name.
    """
    if not can_name(message.method, message.url):
        return None
    certain = recognised(message.method, message.target, message.headers)
    if not (certain is not None and certain.named_by_head) and message.data is None:
        return None
    finding = ""
    for row in PROTOCOLS if certain is None else (certain, *PROTOCOLS):
        try:
            found = row.request(message)
        except MalformedMessageError as error:
            if row is certain and not finding:
                finding = str(error)
            continue
        if found is not None:
            return found
    if certain is None:
        return None
    return Operation(certain.name, finding=finding or f"the request is not of the protocol {certain.name}")


def facts_of_response(message: OperationMessage) -> tuple[Facts, str]:
    """Return the facts of a response, and a finding if it is malformed (empty otherwise)."""
    finding = ""
    for row in PROTOCOLS if message.data is not None else _NAMED_BY_HEAD:
        try:
            found = row.response(message)
        except MalformedMessageError as error:
            finding = finding or str(error)
            continue
        if found:
            return found, ""
    return _NO_FACTS, finding


_ERRORS: Final = {"graphql.error": "GraphQL error: ", "rpc.error": "JSON-RPC error ", "llm.error": "error "}
"""Facts of a response that failed, each with the words before its value."""


def failure_of(facts: Facts) -> str:
    """Return how the call failed, by the facts of its response: the status of gRPC, or the first error; empty if it did
    not. HTTP's status is another thing: most of these responses have 200."""
    status, message = facts.get("grpc.status"), facts.get("grpc.message")
    if status:
        return "" if status[0] == "OK" else ": ".join(map(str, (*status[:1], *(message or ())[:1])))
    return next((f"{words}{facts[name][0]}" for name, words in _ERRORS.items() if facts.get(name)), "")


def match_key_of_message(message: OperationMessage) -> Any | None:
    """Return plain JSON data that stands for the body of a request when recordings are searched; None: the body."""
    for row in PROTOCOLS:
        try:
            key = row.match_key(message)
        except MalformedMessageError:
            continue
        if key is not None:
            return key
    return None


def operation_of_websocket(data: bytes | None) -> Operation | None:
    """Return the operation that a WebSocket message of a client starts."""
    if data is None or not any(mark in data for mark in _MARKS):
        return None
    try:
        document = parse_json(data)
        return next((found for row in PROTOCOLS if (found := row.event(document)) is not None), None)
    except MalformedMessageError:
        return None


def operation_of_record(record: Mapping[str, Any], folder: Path | None) -> Operation | None:
    """Return the operation of a `request`, `websocket-request` or `websocket-message-received` record."""
    if record.get("type") == "websocket-message-received":
        return operation_of_websocket(body_reader(record.get("content"), folder)())
    return operation_of(message_of(record, folder))
