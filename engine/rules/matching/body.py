"""Matchers that need a request's complete body: one factory a key of the language, and the table of them.

A body that cannot be decoded or parsed matches none of them. jsonschema-rs and jsonpath are imported only where
a rule uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockrec.engine.rules.json_paths import compile_path, path_cost
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView
from mockrec.engine.rules.matching.values import json_check, json_equal, json_includes, text_check
from mockrec.engine.rules.model import Condition, Expected, MultipartPart, When
from mockrec.engine.rules.patterns import quick_length, searcher
from mockrec.engine.rules.yaml.schema_check import is_recursive, schema_validator
from mockrec.engine.wire.multipart import Part

Check = Callable[[RequestView], bool]


def readable(check: Check) -> Check:
    """`check`, but False where the body cannot be decoded or parsed (`RequestView.body_error` says why)."""

    def check_body(request: RequestView) -> bool:
        try:
            return check(request)
        except ValueError:
            return False

    return check_body


def _form(name: str, expected: Expected) -> Check:
    check = text_check(expected)
    return lambda request: FORM_TYPE in request.content_type.lower() and check(request.form.get(name, ()))


def _multipart(wanted: tuple[MultipartPart, ...]) -> Check:
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


def _body(text: str) -> Check:
    return lambda request: request.text == text


def _body_includes(text: str) -> Check:
    return lambda request: text in request.text


def _body_regex(pattern: str) -> Check:
    search = searcher(pattern)
    return lambda request: search(request.text)


def _json(expected: Any) -> Check:
    return lambda request: json_equal(expected, request.json)


def _json_includes(expected: Any) -> Check:
    """An empty mapping at the top asks only that the body is JSON."""
    anything = isinstance(expected, Mapping) and not expected

    def check(request: RequestView) -> bool:
        value = request.json
        return anything or json_includes(expected, value)

    return check


def _json_rpc(expected: Mapping[str, Any]) -> Check:
    """A call of JSON-RPC 2.0; a batch is a list and does not match."""
    return _json_includes({"jsonrpc": "2.0", **expected})


def _json_path(path: str, expected: Expected) -> Check:
    """`path` as in RFC 9535."""
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


def _json_schema(schema: Mapping[str, Any] | bool) -> Check:
    validator = schema_validator(schema)
    # It raises ValueError for what it cannot look at: nested too deeply, or text with half of a surrogate pair.
    return lambda request: bool(validator.is_valid(request.json))


def quick_body(key: str, name: str | None, expected: Any) -> int:
    """Bytes of a body up to which a matcher takes some milliseconds at most, whatever the body says."""
    quick = QUICK_BODY
    if key == "bodyRegex":
        return min(quick, quick_length(expected))
    if isinstance(expected, Condition) and expected.regex is not None:
        quick = min(quick, quick_length(expected.regex))
    if key == "jsonPath" and name is not None:
        quick = min(quick, _QUICK_PATHS[path_cost(name)])
    if key == "jsonSchema" and is_recursive(expected):
        return 0
    return quick


_QUICK_PATHS = {"singular": QUICK_BODY, "linear": 8 * 1024, "any": 0}


def is_body_key(key: str) -> bool:
    """Whether a key of the language names a matcher of bodies."""
    return key in BODY_FACTORIES or key in BODY_ENTRY_CHECKS


def body_checks(when: When) -> list[tuple[str, Any, Check]]:
    """Key, expected value and check for each body matcher of `when` that is not a mapping of entries."""
    found = []
    for key, attribute, factory in _BODY_CHECKS:
        expected = getattr(when, attribute)
        # JSON null is a value to compare with, so None alone does not mean "not given" for these two.
        if expected is not None or (key in ("json", "jsonIncludes") and key in when.given):
            found.append((key, expected, readable(factory(expected))))
    return found


# Key of the language, attribute of `When`, factory.
_BODY_CHECKS: tuple[tuple[str, str, Callable[[Any], Check]], ...] = (
    ("body", "body", _body),
    ("bodyIncludes", "body_includes", _body_includes),
    ("bodyRegex", "body_regex", _body_regex),
    ("multipart", "multipart", _multipart),
    ("json", "json", _json),
    ("jsonIncludes", "json_includes", _json_includes),
    ("jsonRpc", "json_rpc", _json_rpc),
    ("jsonSchema", "json_schema", _json_schema),
)

BODY_FACTORIES: Mapping[str, Callable[[Any], Check]] = {key: factory for key, _, factory in _BODY_CHECKS}

# The same for keys that hold a mapping: each entry becomes a check.
BODY_ENTRY_CHECKS: Mapping[str, tuple[str, Callable[[str, Expected], Check]]] = {
    "form": ("form", _form),
    "jsonPath": ("json_path", _json_path),
}
