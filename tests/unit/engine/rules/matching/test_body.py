"""Matchers of a request's body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.match import compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import Condition, MultipartPart, When
from mockrec.engine.rules.yaml.schema_check import is_recursive, schema_fault

RequestOf = Callable[..., RequestView]
FORM = [("content-type", "application/x-www-form-urlencoded")]


def matches(request: RequestView, **given: Any) -> bool | None:
    names = {"json_includes": "jsonIncludes"}
    when = When(given=tuple(names.get(key, key) for key in given), **given)
    return compile_when(when, lambda name: lambda view: True).match(request)


def test_body_texts(request_of: RequestOf) -> None:
    request = request_of("POST", body="héllo".encode())
    assert matches(request, body="héllo") is True
    assert matches(request, body="hello") is False
    assert matches(request, body_includes="éll") is True
    assert matches(request, body_includes="x") is False
    assert matches(request, body_regex="^h.*o$") is True
    assert matches(request, body_regex="^l") is False
    assert matches(request_of("POST"), body="") is True


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"a": "1"}, True),
        ({"a": ("1", "2")}, True),
        ({"b": "x y"}, True),
        ({"a": "3"}, False),
        ({"c": Condition(absent=True)}, True),
    ],
)
def test_form(request_of: RequestOf, form: dict[str, Any], answer: bool) -> None:
    assert matches(request_of("POST", headers=FORM, body=b"a=1&b=x+y&a=2"), form=form) is answer


def test_what_is_no_form_has_no_fields_to_be_absent(request_of: RequestOf) -> None:
    assert matches(request_of("POST", body=b"a=1"), form={"a": "1"}) is False
    assert matches(request_of("POST", body=b"a=1"), form={"c": Condition(absent=True)}) is False


MULTIPART = (
    b'--s\r\ncontent-disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--s\r\ncontent-disposition: form-data; name="f"; filename="x.txt"\r\n\r\ntwo\r\n--s--'
)


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ((MultipartPart(name="a"),), True),
        ((MultipartPart(name="a", content="one"), MultipartPart(filename="x.txt")), True),
        ((MultipartPart(name="a", content="two"),), False),
        ((MultipartPart(name="f", filename="y.txt"),), False),
        ((MultipartPart(name="b"),), False),
        ((MultipartPart(name="a"), MultipartPart(name="b")), False),
        ((), True),
    ],
)
def test_multipart(request_of: RequestOf, parts: tuple[MultipartPart, ...], answer: bool) -> None:
    headers = [("content-type", "multipart/form-data; boundary=s")]
    assert matches(request_of("POST", headers=headers, body=MULTIPART), multipart=parts) is answer


def test_json_is_compared_deeply(request_of: RequestOf) -> None:
    request = request_of("POST", body=b'{"b": [1, {"c": null}], "a": 1.0}')
    assert matches(request, json={"a": 1, "b": [1, {"c": None}]}) is True
    assert matches(request, json={"a": 1}) is False
    assert matches(request_of("POST", body=b"null"), json=None) is True
    assert matches(request_of("POST", body=b"0"), json=None) is False


def test_json_includes(request_of: RequestOf) -> None:
    request = request_of("POST", body=b'{"a": {"b": 1, "c": 2}}')
    assert matches(request, json_includes={"a": {"b": 1}}) is True
    assert matches(request, json_includes={"a": {"b": 2}}) is False
    assert matches(request_of("POST", body=b"5"), json_includes={}) is True
    assert matches(request_of("POST", body=b"no"), json_includes={}) is False
    assert matches(request_of("POST", body=b"null"), json_includes=None) is True


def test_json_rpc(request_of: RequestOf) -> None:
    call = request_of("POST", body=b'{"jsonrpc": "2.0", "id": 1, "method": "add", "params": [1, 2]}')
    assert matches(call, json_rpc={"method": "add"}) is True
    assert matches(call, json_rpc={"method": "add", "params": [2]}) is True
    assert matches(call, json_rpc={"method": "sub"}) is False
    assert matches(call, json_rpc={}) is True
    batch = request_of("POST", body=b'[{"jsonrpc": "2.0", "id": 1, "method": "add"}]')
    assert matches(batch, json_rpc={"method": "add"}) is False
    assert matches(request_of("POST", body=b'{"method": "add"}'), json_rpc={"method": "add"}) is False


@pytest.mark.parametrize(
    ("json_path", "answer"),
    [
        ({"$.user.name": "Ada"}, True),
        ({"$.user.name": "Bob"}, False),
        ({"$.items[*].id": 2}, True),
        ({"$.items[*].id": (2, 1)}, True),
        ({"$.items[*].id": (2, 3)}, False),
        ({"$.tags": ("x", "y")}, True),
        ({"$.items[?@.id > 1].id": Condition(equals=2)}, True),
        ({"$.items[*].id": Condition(gt=2)}, False),
        ({"$.missing": Condition(absent=True)}, True),
        ({"$.user": Condition(absent=True)}, False),
        ({"$.nothing": None}, True),
        ({"$.user.name": "Ada", "$.missing": "x"}, False),
    ],
)
def test_json_path(request_of: RequestOf, json_path: dict[str, Any], answer: bool) -> None:
    body = b'{"user": {"name": "Ada"}, "items": [{"id": 1}, {"id": 2}], "tags": ["x", "y"], "nothing": null}'
    assert matches(request_of("POST", body=body), json_path=json_path) is answer


def test_a_json_path_that_goes_too_deep_does_not_match(request_of: RequestOf) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    assert matches(request_of("POST", body=deep), json_path={"$..b": Condition(absent=True)}) is False


def test_json_schema(request_of: RequestOf) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert matches(request_of("POST", body=b'{"a": 1}'), json_schema=schema) is True
    assert matches(request_of("POST", body=b'{"a": "1"}'), json_schema=schema) is False
    assert matches(request_of("POST", body=b"{}"), json_schema=True) is True
    assert matches(request_of("POST", body=b"{}"), json_schema=False) is False
    assert matches(request_of("POST", body=b"no"), json_schema=True) is False


@pytest.mark.parametrize(
    ("schema", "body", "answer"),
    [
        ({"uniqueItems": True}, b"[1, 2, 1.0]", False),
        ({"uniqueItems": True}, b"[1, true]", True),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, b"1", True),
        ({"$id": "http://x.test/a", "$defs": {"n": {"$id": "n", "type": "integer"}}, "$ref": "n"}, b'"1"', False),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}, b"3", False),
        ({"format": "date"}, b'"no date"', True),  # an annotation, in every draft
        ({"$schema": "http://json-schema.org/draft-07/schema#", "format": "date"}, b'"no date"', True),
        ({"pattern": "^(a+)+$"}, b'"' + b"a" * 1000 + b'b"', False),
        ({"items": {"$ref": "#"}, "type": "array"}, b"[" * 500 + b"]" * 500, True),
        ({"type": "string"}, rb'"\ud800"', False),  # half of a surrogate pair cannot be looked at
    ],
)
def test_json_schemas(request_of: RequestOf, schema: Any, body: bytes, answer: bool) -> None:
    assert matches(request_of("POST", body=body), json_schema=schema) is answer


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$ref": "http://127.0.0.1:1/a"}, "$ref http://127.0.0.1:1/a: references to other documents are not fetched"),
        ({"properties": {"a": {"$dynamicRef": "file:///a"}}}, "references to other documents are not fetched"),
        ({"$ref": "#/nowhere"}, "Pointer '/nowhere' does not exist"),
        ({"$schema": "http://x.test/own"}, "Unknown meta-schema"),
        ({"properties": {"a": {"type": "frob"}}}, 'properties.a.type: "frob" is not valid'),
        (
            {"pattern": "(?=a)"},
            'pattern: "(?=a)" is not a "regex" (look-arounds and back references are not available)',
        ),
        ({"pattern": "("}, 'pattern: "(" is not a "regex"'),
    ],
)
def test_schemas_that_cannot_be_used_are_told(schema: Any, fault: str) -> None:
    assert fault in schema_fault(schema)


@pytest.mark.parametrize(
    ("schema", "recursive"),
    [
        ({"type": "object"}, False),
        ({"$defs": {"a": {"type": "array"}}, "items": {"$ref": "#/$defs/a"}}, False),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}, "$ref": "#/$defs/a"}, False),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, True),
        ({"items": {"$ref": "#"}}, True),
        ({"$dynamicRef": "#x"}, True),
        ({"$defs": {"a": {"$anchor": "x"}}, "$ref": "#x"}, True),
    ],
)
def test_schemas_that_refer_to_themselves(schema: Any, recursive: bool) -> None:
    assert is_recursive(schema) is recursive


@pytest.mark.parametrize(
    "given",
    [
        {"body": ""},
        {"body_includes": ""},
        {"body_regex": ""},
        {"form": {"a": Condition(absent=True)}},
        {"multipart": (MultipartPart(),)},
        {"json": {}},
        {"json_includes": {}},
        {"json_path": {"$": Condition(present=True)}},
        {"json_schema": True},
        {"json_rpc": {}},
    ],
)
def test_a_body_that_cannot_be_decoded_matches_nothing(given: dict[str, Any]) -> None:
    def read() -> bytes:
        raise ValueError("not gzip")

    headers = {"content-type": "multipart/form-data, application/x-www-form-urlencoded"}
    request = RequestView("POST", "http", "http://x/", "x", 80, "/", headers, [], False, read)
    request.body_complete = True
    assert matches(request, **given) is False
    assert request.body_error == "not gzip"


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ({"operation": "Cart"}, True),
        ({"operation": "Cart", "type": "query", "variables": {"id": 7}}, True),
        ({"variables": {"deep": {"a": 1}}}, True),
        ({}, True),
        ({"operation": "Carts"}, False),
        ({"type": "mutation"}, False),
        ({"variables": {"id": "7"}}, False),
    ],
)
def test_graphql_operations(request_of: RequestOf, wanted: dict[str, Any], answer: bool) -> None:
    document = {"query": "query Cart { cart }", "variables": {"id": 7, "deep": {"a": 1, "b": 2}}}
    body = json.dumps(document).encode()
    request = request_of("POST", "http://a.test/graphql", [("content-type", "application/json")], body=body)
    assert matches(request, graphql=wanted) is answer


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"query": "{ a"}', b'[{"query": "{ a }"}]', b'{"query": 7}'])
def test_what_is_not_one_graphql_operation_does_not_match(request_of: RequestOf, body: bytes) -> None:
    request = request_of("POST", "http://a.test/graphql", [("content-type", "application/json")], body=body)
    assert matches(request, graphql={}) is False
