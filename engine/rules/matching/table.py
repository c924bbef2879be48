"""The table of all matchers of the rule language, in the order of the reference page.

The loader (`language/when.py`), the JSON Schema, the compiler (`match.py`) and the explanations (`explain/`) are
derived from it; `spec.py` describes the fields of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.matching import body, head, nested
from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView
from mockrec.engine.rules.matching.spec import AnySpec, EntriesSpec, NestedSpec, Slot, UserSpec, ValueSpec, Weight
from mockrec.engine.rules.matching.suggestions import body_suggestion, query_suggestion
from mockrec.engine.rules.matching.types import JSON_RPC, PART, TEXT, VALUE, JsonSchema
from mockrec.engine.rules.model import MultipartPart, When
from mockrec.engine.rules.wording import MAX_SHOWN, handler_words, pattern_words, short, shown
from mockrec.engine.rules.yaml.containers import List, MapOf, OneOrMany
from mockrec.engine.rules.yaml.context import quoted
from mockrec.engine.rules.yaml.regex import REGEX
from mockrec.engine.rules.yaml.strings import (
    EXACT_QUERY,
    HEADER_NAME,
    HOST,
    HOSTNAME,
    METHOD,
    PATH,
    PATH_TEMPLATE,
    URL,
    URL_SCHEMES,
    Handler,
    JsonPath,
)
from mockrec.engine.rules.yaml.types import AnyJson, Bool, Enum, Int, Str

_SEGMENT: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


def _method_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """The methods in alphabetical order: their order in the file has no meaning."""
    return tuple(sorted({value} if isinstance(value, str) else set(value)))


def _in_lower_case(headers: Any) -> Any:
    """The mapping with names in lower case: header names are case-insensitive."""
    if not isinstance(headers, Mapping):
        return headers
    return {str(name).lower(): expected for name, expected in headers.items()}


def _braces(key: str) -> Callable[[str], str | None]:
    """A warning about `{name}` in a matcher without templates."""

    def warning(value: str) -> str | None:
        if not _SEGMENT.search(value):
            return None
        template = f"pathTemplate: {quoted(value)}" if key == "path" else "`pathTemplate`"
        return f"braces stand for themselves in `{key}`; {template} matches any value"

    return warning


def _part_words(part: MultipartPart) -> str:
    given = {"name": part.name, "filename": part.filename, "content": part.content}
    return shown({key: value for key, value in given.items() if value is not None})


def _found_parts(request: RequestView) -> str:
    return shown([{"name": part.name, "filename": part.filename} for part in request.multipart[:5]])


def _found_json(request: RequestView) -> str:
    _ = request.json  # raises ValueError for a body that is not JSON
    return short(request.text[: MAX_SHOWN + 1])


def _json_values(request: RequestView, path: str) -> Sequence[Any]:
    values: Sequence[Any] = compile_path(path).find(request.json).values()
    return values


_ROWS: Final[tuple[AnySpec, ...]] = (
    ValueSpec(
        key="method",
        type=OneOrMany(METHOD),
        about="The method, a list of methods, or ANY.",
        rank=2,
        slot=Slot.METHOD,
        weight=Weight.METHOD,
        expected_of=lambda names: None if "ANY" in names else names,
        canonical=_method_names,
        check=head.method_check,
        phrase=lambda names: "" if "ANY" in names else " or ".join(names),
        expected=" or ".join,
        found=lambda request: shown(request.method),
    ),
    ValueSpec(
        key="url",
        type=URL,
        about="`/path`, `http://host/path` or `host/path`; the query does not count.",
        rank=3,
        slot=Slot.URL,
        weight=Weight.PATH,
        warning=_braces("url"),
        check=head.url_check,
        phrase=short,
        found=lambda request: shown(request.url.partition("?")[0]),
    ),
    ValueSpec(
        key="path",
        type=PATH,
        about="The exact path, without the query.",
        rank=1,
        slot=Slot.PATH,
        weight=Weight.PATH,
        warning=_braces("path"),
        check=head.path_check,
        phrase=short,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="pathTemplate",
        type=PATH_TEMPLATE,
        about="A path with named segments such as `/users/{id}`.",
        rank=4,
        slot=Slot.URL,
        weight=Weight.PATH,
        check=head.path_template_check,
        sets_params=True,
        phrase=short,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="pathRegex",
        type=REGEX,
        about="A regular expression that is found in the path.",
        rank=10,
        slot=Slot.PATTERN,
        weight=Weight.PATH,
        check=head.path_regex_check,
        is_pattern=True,
        phrase=lambda pattern: f"path matching {pattern_words(pattern)}",
        expected=pattern_words,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="urlRegex",
        type=REGEX,
        about="A regular expression that is found in the URL without its query.",
        rank=11,
        slot=Slot.PATTERN,
        weight=Weight.PATH,
        check=head.url_regex_check,
        is_pattern=True,
        phrase=lambda pattern: f"URL matching {pattern_words(pattern)}",
        expected=pattern_words,
        found=lambda request: shown(request.url.partition("?")[0]),
    ),
    ValueSpec(
        key="host",
        type=HOST,
        about="The host, with its port unless that is the default.",
        rank=8,
        slot=Slot.SERVER,
        check=head.host_check,
        phrase="for host {}".format,
        found=lambda request: shown(request.host),
    ),
    ValueSpec(
        key="hostname",
        type=HOSTNAME,
        about="The host's name on any port; `*` stands for any text.",
        rank=9,
        slot=Slot.SERVER,
        check=head.hostname_check,
        phrase="for hostname {}".format,
        found=lambda request: shown(request.hostname),
    ),
    ValueSpec(
        key="port",
        type=Int(1, 65535),
        about="The port.",
        rank=7,
        slot=Slot.SERVER,
        check=lambda port: lambda request: request.port == port,
        phrase="for port {}".format,
        found=lambda request: shown(request.port),
    ),
    ValueSpec(
        key="protocol",
        type=Enum(*URL_SCHEMES),
        about="http, https, ws or wss.",
        rank=6,
        slot=Slot.SERVER,
        check=lambda protocol: lambda request: request.protocol == protocol,
        phrase="by {}".format,
        found=lambda request: shown(request.protocol),
    ),
    EntriesSpec(
        key="headers",
        type=MapOf(TEXT, key=HEADER_NAME, fold_case=True),
        about="Headers that must be there.",
        rank=13,
        canonical=_in_lower_case,
        check=head.header_check,
        noun="header",
        values=lambda request, name: request.header_values(name.lower()),
    ),
    EntriesSpec(
        key="query",
        type=MapOf(TEXT),
        about="Query parameters that must be there, decoded.",
        rank=14,
        check=head.query_check,
        noun="query parameter",
        values=lambda request, name: request.query.get(name, ()),
    ),
    EntriesSpec(
        key="cookies",
        type=MapOf(TEXT),
        about="Cookies that must be there.",
        rank=15,
        check=head.cookie_check,
        noun="cookie",
        values=lambda request, name: request.cookies.get(name, ()),
    ),
    EntriesSpec(
        key="form",
        type=MapOf(TEXT),
        about="Fields of a URL-encoded form that must be there.",
        rank=28,
        reads_body=True,
        check=body.form_check,
        noun="form field",
        values=lambda request, name: request.form.get(name, ()),
        can_match=lambda request: FORM_TYPE in request.content_type.lower(),
    ),
    ValueSpec(
        key="exactQuery",
        type=EXACT_QUERY,
        about="The raw query with its `?`, or nothing.",
        rank=12,
        check=lambda query: lambda request: request.query_string == query,
        phrase=lambda query: f"with the query {shown(query)}" if query else "without a query",
        found=lambda request: shown(request.query_string),
        suggestion=query_suggestion,
    ),
    ValueSpec(
        key="multipart",
        type=List(PART),
        about="Parts of a multipart form; each must match one part.",
        rank=23,
        reads_body=True,
        check=body.multipart_check,
        phrase=lambda parts: " and ".join(f"with a part {_part_words(part)}" for part in parts),
        expected=lambda parts: "other parts",
        found=_found_parts,
    ),
    ValueSpec(
        key="body",
        type=Str(),
        about="The whole body as text.",
        rank=20,
        reads_body=True,
        check=lambda text: lambda request: request.text == text,
        phrase=lambda text: f"with the body {shown(text)}",
        found=lambda request: shown(request.text),
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="bodyIncludes",
        type=Str(),
        about="Text that the body contains.",
        rank=21,
        reads_body=True,
        check=lambda text: lambda request: text in request.text,
        phrase=lambda text: f"with {shown(text)} in the body",
        found=lambda request: shown(request.text),
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="bodyRegex",
        type=REGEX,
        about="A regular expression that is found in the body.",
        rank=22,
        reads_body=True,
        check=body.body_regex_check,
        is_pattern=True,
        phrase=lambda pattern: f"with a body matching {pattern_words(pattern)}",
        expected=pattern_words,
        found=lambda request: shown(request.text),
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="json",
        type=AnyJson(),
        about="The whole body as JSON.",
        rank=24,
        reads_body=True,
        check=body.json_body_check,
        phrase=lambda value: f"with the JSON {shown(value)}",
        found=_found_json,
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="jsonIncludes",
        type=AnyJson(),
        about="What the JSON body contains, at any depth of what is given.",
        rank=25,
        reads_body=True,
        check=body.json_includes_check,
        phrase=lambda value: f"with JSON including {shown(value)}",
        found=_found_json,
        suggestion=body_suggestion,
    ),
    EntriesSpec(
        key="jsonPath",
        type=MapOf(VALUE, key=JsonPath()),
        about="JSONPath (RFC 9535) → value or condition.",
        rank=29,
        reads_body=True,
        check=body.json_path_check,
        quick_size=body.path_quick_size,
        noun="JSON at",
        values=_json_values,
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="jsonSchema",
        type=JsonSchema(),
        about="A JSON Schema that the body fits, inline or as a file.",
        rank=27,
        reads_body=True,
        expected_of=lambda loaded: loaded.schema,
        check=body.json_schema_check,
        quick_size=body.schema_quick_size,
        phrase=lambda schema: "with JSON valid by a schema",
        found=_found_json,
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="jsonRpc",
        type=JSON_RPC,
        about="A JSON-RPC 2.0 call.",
        rank=26,
        reads_body=True,
        check=body.json_rpc_check,
        phrase=lambda call: f"with the JSON-RPC call {shown(call)}",
        found=_found_json,
        suggestion=body_suggestion,
    ),
    ValueSpec(
        key="websocket",
        type=Bool(),
        about="Only WebSocket upgrades.",
        rank=5,
        check=lambda wanted: lambda request: request.websocket is wanted,
        phrase=lambda wanted: "upgrading to WebSocket" if wanted else "not upgrading to WebSocket",
        found=lambda request: shown(request.websocket),
    ),
    NestedSpec(
        key="not",
        about="Matchers that do not all match.",
        rank=31,
        combine=nested.not_check,
        phrase="but not ({})",
        expected="anything but ({})",
        found="this request",
    ),
    NestedSpec(
        key="anyOf",
        about="Several sets of matchers, one of which matches.",
        rank=32,
        is_list=True,
        combine=nested.any_of_check,
        sets_params=True,
        phrase="being one of ({})",
        expected="one of ({})",
        found="none of them",
    ),
    UserSpec(
        key="python",
        type=Handler(),
        about="handlers.py:name, called with the request, returns true or false.",
        rank=30,
        phrase=lambda handler: f"accepted by {handler_words(handler)}",
    ),
)
MATCHERS: Final[dict[str, AnySpec]] = {row.key: row for row in _ROWS}
"""Key of the rule language → row."""


def specs_of(when: When) -> list[AnySpec]:
    """The rows of the matchers of a `when`, in the order of the table."""
    return [spec for key, spec in MATCHERS.items() if key in when.expected]
