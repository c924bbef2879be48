"""Requests and responses are called by name; malformed ones have a finding and never raise."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from mockrec.formats.operations.message import OperationMessage
from mockrec.formats.operations.readers import (
    HINTS,
    facts_of_response,
    may_have_operation,
    operation_of,
    operation_of_websocket,
    parts_may_have_operation,
    recognise,
    recognised,
)
from mockrec.formats.operations.spec import Operation

JSON = {"content-type": "application/json"}


def asked(body: Any, path: str = "/graphql", headers: dict[str, Any] | None = None, method: str = "POST") -> Operation:
    """The operation of a request that has one."""
    found = maybe(body, path, headers, method)
    assert found is not None
    return found


def maybe(
    body: Any, path: str = "/graphql", headers: dict[str, Any] | None = None, method: str = "POST"
) -> Operation | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return operation_of(
        OperationMessage(method, f"http://x.test{path}", JSON if headers is None else headers, lambda: data)
    )


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ('query Cart($id: ID = "}{") @live { cart(id: $id) { id } }', "query Cart"),
        ("mutation AddItem { add }", "mutation AddItem"),
        ("subscription Prices { price }", "subscription Prices"),
        ("{ mine: cart(filter: {a: 1}) { id } user { name } }", "query {cart, user}"),
        ("fragment F on Cart { id } query Cart { ...F }", "query Cart"),
        ('# query Other {}\nquery Cart { a(text: """block \\""" { """) }', "query Cart"),
    ],
)
def test_graphql_operations_are_named(query: str, name: str) -> None:
    assert asked({"query": query}).name == name


def test_operation_name_selects_one_of_a_document() -> None:
    found = asked({"query": "query A { a } query B { b }", "operationName": "B"})

    assert (found.name, found.facts["graphql.operation"]) == ("query B", ("B",))


def test_graphql_comes_by_get_as_document_persisted_and_in_batches() -> None:
    by_get = maybe(b"", "/graphql?query=%7Bme%7D", {}, "GET")
    document = maybe(b"query Cart { a }", "/x", {"content-type": "application/graphql"})
    persisted = asked({"operationName": "Cart", "extensions": {"persistedQuery": {"sha256Hash": "ab" * 32}}}, "/x")
    batch = asked([{"query": "query A { a }"}, {"query": "query B { b }"}])

    assert by_get is not None and by_get.name == "query {me}"
    assert document is not None and document.name == "query Cart"
    assert persisted.name == "persisted Cart"
    assert batch.names == ("query A", "query B")


def test_a_search_is_no_graphql() -> None:
    assert maybe({"query": "shoes {red}"}, "/search") is None


def test_calls_of_json_rpc_and_mcp_are_named() -> None:
    assert asked({"jsonrpc": "2.0", "id": 1, "method": "getUser"}, "/api").name == "rpc getUser"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search"}}
    assert asked(call, "/api").name == "tools/call search"
    assert asked([call, {**call, "params": {"name": "read"}}], "/api").names == ("tools/call search", "tools/call read")


def test_soap_is_named_by_its_action_or_its_body() -> None:
    header = {"content-type": "text/xml", "soapaction": '"urn:GetPrice"'}
    twelve = {"content-type": 'application/soap+xml; charset=utf-8; action="urn:GetPrice"'}
    empty = {"content-type": "text/xml", "soapaction": '""'}

    assert asked(b"<a/>", "/s", header).name == "urn:GetPrice"
    assert asked(b"<a/>", "/s", twelve).name == "urn:GetPrice"
    assert asked(b"<s:Envelope><s:Body>\n<m:GetPrice>", "/s", empty).name == "GetPrice"


@pytest.mark.parametrize(
    ("body", "path", "headers"),
    [
        (b"{", "/graphql", JSON),
        (b"[" * 5000, "/graphql", JSON),
        (b"[" * 5000 + b"]" * 5000, "/graphql", JSON),
        ({"query": "{ a"}, "/graphql", JSON),
        ({"query": '{ a(b: """) }'}, "/graphql", JSON),
        ({"query": "} {"}, "/graphql", JSON),
        ({"query": 7}, "/graphql", JSON),
        ({"query": "query A { a }", "operationName": "B"}, "/graphql", JSON),
        ("text", "/graphql", JSON),
        (None, "/graphql", JSON),
        ([{"jsonrpc": "2.0", "method": "a"}, 7], "/jsonrpc", JSON),
        ({"jsonrpc": "2.0", "id": 1}, "/jsonrpc", JSON),
        ({"jsonrpc": "2.0", "method": "a", "params": 7}, "/jsonrpc", JSON),
        (b"<a/>", "/soap", {"content-type": "text/xml", "soapaction": ""}),
    ],
)
def test_malformed_requests_have_a_finding(body: Any, path: str, headers: dict[str, str]) -> None:
    found = asked(body, path, headers)

    assert found.names == ()
    assert found.finding


def test_a_cut_body_has_no_operation() -> None:
    assert operation_of(OperationMessage("POST", "http://x.test/graphql", JSON, lambda: None)) is None


def test_subscriptions_start_in_messages_of_websockets() -> None:
    message = {"id": "1", "type": "subscribe", "payload": {"query": "subscription Prices { price }"}}
    found = operation_of_websocket(json.dumps(message).encode())

    assert found is not None and found.name == "subscription Prices"
    assert operation_of_websocket(b'{"query": ') is None


def test_errors_in_responses_are_facts() -> None:
    def facts(document: Any) -> Any:
        data = json.dumps(document).encode()
        return facts_of_response(OperationMessage("POST", "http://x.test/", JSON, lambda: data))[0]

    assert facts({"errors": [{"message": "no cart"}], "data": None}) == {"graphql.error": ("no cart",)}
    assert facts({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "x"}}) == {"rpc.error": (-32601,)}
    gemini = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}
    assert facts(gemini) == {"llm.error": ("RESOURCE_EXHAUSTED",)}
    assert facts({"error": {"code": 404, "message": "x"}}) == {}
    assert facts({"error": {"code": 404, "status": "error"}}) == {}


@pytest.mark.parametrize(
    ("method", "target", "headers", "protocol"),
    [
        ("GET", "/", {}, None),
        ("GET", "/graphql", {}, None),
        ("GET", "/graphql?query={a}", {}, "graphql"),
        ("POST", "/api/graphql/", JSON, "graphql"),
        ("POST", "/orders", JSON, None),
        ("POST", "/rpc", JSON, "jsonrpc"),
        ("POST", "/x", {**JSON, "mcp-session-id": "1"}, "mcp"),
        ("GET", "/ws", {"sec-websocket-protocol": "graphql-transport-ws"}, "graphql"),
        ("OPTIONS", "/graphql", {}, None),
        ("POST", "/x", {"content-type": ["application/json", "text/plain"]}, None),
    ],
)
def test_heads_tell_the_protocol(method: str, target: str, headers: dict[str, Any], protocol: str | None) -> None:
    assert recognise(method, target, headers) == protocol


def test_the_question_whether_json_is_plain_hides_no_protocol() -> None:
    """Every row's own answer, for the paths and fields that the rows look at."""
    paths = ("graphql", "a.GQL", "rpc", "v1/jsonrpc", "json-rpc/", "mcp", "chat/completions", "v1/completions/")
    more = (
        "v1/responses",
        "v1/embeddings",
        "models/x:generateContent",
        "m:streamGenerateContent",
        "orders",
        "v1/messages",
    )
    fields: tuple[dict[str, str], ...] = (
        {},
        {"accept": "text/event-stream"},
        {"accept": "application/graphql-response+json"},
        *({name: "1"} for name in ("anthropic-version", "mcp-session-id", "mcp-protocol-version", "soapaction")),
    )
    for path in (*paths, *more):
        for one in fields:
            head: tuple[str, str, dict[str, str]] = ("POST", f"/{path}", {**JSON, **one})
            found = recognised(*head)
            assert recognise(*head) == (None if found is None else found.name)


@pytest.mark.parametrize(
    "line",
    [
        rb'{"url":"http://x.test/\u0067raphql"}',
        rb'{"headers":{"content-type":"application\/grpc"}}',
        rb'{"body":{"text":"{\\\"\u0071uery\\\":1}"}}',
        b'{"operation": {"protocol": "grpc"}}',
    ],
)
def test_lines_with_escapes_that_no_recorder_writes_may_have_an_operation(line: bytes) -> None:
    assert may_have_operation(line)


@pytest.mark.parametrize("text", ["", "a\\/b", "\\u0041", 'c:\\users\\"', "\x01\n\\\\/", "/\\", "\x1f/"])
def test_other_lines_have_none(text: str) -> None:
    assert not may_have_operation(orjson.dumps({"type": "request", "body": {"text": text}}))


@pytest.mark.parametrize("hint", HINTS)
def test_hint_is_found_in_each_part(hint: str) -> None:
    assert parts_may_have_operation(f"http://x/{hint}", b"{}", "")
    assert parts_may_have_operation("http://x/", f'{{"a":"{hint}"}}'.encode(), "")
    assert parts_may_have_operation("http://x/", f'{{"a":"{"x" * 5000}{hint}"}}'.encode(), "")
    assert parts_may_have_operation("http://x/", b"{}", f"a{hint}b")
    assert not parts_may_have_operation(hint[:-1], b"{}", hint[-1:])
