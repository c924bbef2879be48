"""No message breaks the readers of operations, and what they do grows with its length only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.formats.operations.graphql_document import normalised, operations_of
from mockrec.formats.operations.message import MalformedMessageError, OperationMessage
from mockrec.formats.operations.readers import (
    facts_of_response,
    match_key_of_message,
    operation_of,
    operation_of_websocket,
    recognise,
)

TYPES = st.sampled_from(
    [
        "application/json",
        "application/graphql",
        "application/soap+xml; action=a",
        "application/x-ndjson",
        "text/event-stream",
        "text/xml",
        "",
    ]
)
URLS = st.sampled_from(
    [
        "/graphql",
        "/graphql?query={a}&variables=x",
        "/rpc",
        "/mcp",
        "/v1/chat/completions",
        "/v1/models/m:generateContent",
        "http://[x/graphql",
        "/",
    ]
)
KEYS = st.sampled_from(
    [
        *("query", "variables", "operationName", "extensions", "persistedQuery", "sha256Hash", "errors", "message"),
        *("jsonrpc", "method", "params", "id", "error", "code", "name", "model", "messages", "choices", "delta"),
        *("content", "tool_calls", "function", "index", "usage", "type", "candidates", "parts", "done", "payload"),
        *("object", "output", "response", "item", "content_block", "arguments", "finish_reason", "completion_tokens"),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["2.0", "tools/call", "query A { a }", "{", "message", "response", "content_block_delta", "", "é"]),
    st.text(max_size=5),
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.one_of(
    DOCUMENTS.map(lambda value: json.dumps(value).encode()),
    st.lists(DOCUMENTS, max_size=3).map(
        lambda values: "".join(f"data: {json.dumps(value)}\n\n" for value in values).encode()
    ),
    st.binary(max_size=50),
)


@settings(deadline=None, max_examples=300)
@given(method=st.sampled_from(["GET", "POST"]), url=URLS, media_type=TYPES, body=BODIES)
def test_no_message_breaks_a_reader(method: str, url: str, media_type: str, body: bytes) -> None:
    headers: dict[str, Any] = {"content-type": media_type} if media_type else {}
    message = OperationMessage(method, url, headers, lambda: body)
    recognise(method, url, headers)
    found = operation_of(message)
    assert found is None or bool(found.names) != bool(found.finding)
    facts_of_response(message)
    match_key_of_message(message)
    operation_of_websocket(body)


@given(
    st.lists(
        st.sampled_from(
            ['"', '"""', "\\", "{", "}", "(", ")", "query", "A", ":", "...", "on", "#", "\n", " ", ",", "$", "@", "7"]
        ),
        max_size=30,
    ).map("".join)
)
def test_a_document_is_normalised_to_itself(document: str) -> None:
    try:
        text = normalised(document)
    except MalformedMessageError:
        return
    assert normalised(text) == text
    try:
        named = operations_of(document)
    except MalformedMessageError:
        return
    assert operations_of(text) == named


@pytest.mark.parametrize(
    "body",
    [
        b'{"query":"' + b"{a" * 200_000 + b'"}',
        b'{"query":"' + b'\\"\\"\\"' * 100_000 + b'"}',
        b'{"query":"' + b'\\\\\\"\\"\\"' * 100_000 + b'"}',
        b"[" * 400_000,
        b"[" + b'{"query":"{a}"},' * 20_000 + b'{"query":"{a}"}]',
        b"[" + b'{"jsonrpc":"2.0","method":"m"},' * 20_000 + b"7]",
        b"<a:Body" * 100_000,
        b"<Body>" + b" " * 400_000,
    ],
    ids=range(8),
)
def test_long_messages_take_time_by_their_length(body: bytes) -> None:
    """Each takes well under a second; a square of the length would take minutes, and the test would time out."""
    for headers in ({"content-type": "application/json"}, {"content-type": "text/xml", "soapaction": ""}):
        message = OperationMessage("POST", "/graphql", headers, lambda: body)
        operation_of(message)
        facts_of_response(message)
