"""Checks of matchers that need the request's complete body: functions from the expected value to the check.

A check raises ValueError for a body that cannot be decoded or parsed. jsonschema-rs and jsonpath are imported only
where a rule uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockrec.engine.rules.json_paths import compile_path, path_cost
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView
from mockrec.engine.rules.matching.values import json_check, json_equal, json_includes, text_check
from mockrec.engine.rules.model import Expected, MultipartPart
from mockrec.engine.rules.patterns import searcher
from mockrec.engine.rules.wording import shown
from mockrec.engine.rules.yaml.schema_check import is_recursive, schema_validator
from mockrec.engine.wire.multipart import Part
from mockrec.formats.operations.graphql import graphql_call
from mockrec.formats.operations.message import OperationMessage
from mockrec.formats.operations.readers import operation_of

QUICK_DOCUMENT = 32 * 1024
"""Bytes of a request whose GraphQL document is read within some milliseconds."""

Check = Callable[[RequestView], bool]


def form_check(name: str, expected: Expected) -> Check:
    check = text_check(expected)
    return lambda request: FORM_TYPE in request.content_type.lower() and check(request.form.get(name, ()))


def multipart_check(wanted: tuple[MultipartPart, ...]) -> Check:
    checks = tuple(_part_check(one) for one in wanted)
    return lambda request: all(any(check(part) for part in request.multipart) for check in checks)


def _part_check(wanted: MultipartPart) -> Callable[[Part], bool]:
    text = wanted.content
    # A text without U+FFFD equals no content that is not valid UTF-8, so contents need not be decoded.
    data = None if text is None or "\ufffd" in text else text.encode("utf-8", "surrogatepass")

    def check(part: Part) -> bool:
        return (
            (wanted.name is None or wanted.name == part.name)
            and (wanted.filename is None or wanted.filename == part.filename)
            and (text is None or (part.text == text if data is None else part.content == data))
        )

    return check


def body_regex_check(pattern: str) -> Check:
    search = searcher(pattern)
    return lambda request: search(request.text)


def json_body_check(expected: Any) -> Check:
    return lambda request: json_equal(expected, request.json)


def json_includes_check(expected: Any) -> Check:
    """A check that an empty mapping at the top passes for every body that is JSON."""
    anything = isinstance(expected, Mapping) and not expected

    def check(request: RequestView) -> bool:
        value = request.json
        return anything or json_includes(expected, value)

    return check


def graphql_check(expected: Mapping[str, Any]) -> Check:
    """A check for one GraphQL operation; a batch is a list and does not match. A malformed request does not match."""
    name, kind, variables = expected.get("operation"), expected.get("type"), expected.get("variables")

    def check(request: RequestView) -> bool:
        found = graphql_call(_message(request))
        if found is None or (name is not None and found.name != name) or (kind is not None and found.type != kind):
            return False
        return variables is None or json_includes(variables, found.variables)

    return check


def found_graphql(request: RequestView) -> str:
    """The name of a request's operation, for explanations."""
    operation = operation_of(_message(request))
    if operation is None or operation.protocol != "graphql":
        return "no GraphQL request"
    if not operation.name:
        return operation.finding
    call = graphql_call(_message(request))
    return f"{operation.name} with the variables {shown(call.variables)}" if call and call.variables else operation.name


def _message(request: RequestView) -> OperationMessage:
    return OperationMessage(request.method, request.target, request.headers, lambda: request.body)


def json_rpc_check(expected: Mapping[str, Any]) -> Check:
    """A check for a call of JSON-RPC 2.0; a batch is a list and does not match."""
    return json_includes_check({"jsonrpc": "2.0", **expected})


def json_path_check(path: str, expected: Expected) -> Check:
    """A check of the values that `path` (RFC 9535) finds."""
    import jsonpath_rfc9535

    query = compile_path(path)
    check = json_check(expected)

    def check_path(request: RequestView) -> bool:
        value = request.json
        try:
            found = query.find(value).values()
        except jsonpath_rfc9535.JSONPathError:  # nested deeper than the library goes
            return False
        return check(found)

    return check_path


def json_schema_check(schema: Mapping[str, Any] | bool) -> Check:
    validator = schema_validator(schema)
    # `is_valid` raises ValueError for an instance nested too deeply, or with half of a surrogate pair in a text.
    return lambda request: bool(validator.is_valid(request.json))


def path_quick_size(path: str) -> int:
    """Bytes of a body in which a JSONPath is looked up within some milliseconds."""
    return _QUICK_PATHS[path_cost(path)]


_QUICK_PATHS = {"singular": QUICK_BODY, "linear": 8 * 1024, "any": 0}


def schema_quick_size(schema: Mapping[str, Any] | bool) -> int:
    """Bytes of a body that is validated within some milliseconds."""
    return 0 if is_recursive(schema) else QUICK_BODY
