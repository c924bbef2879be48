"""Rows of the matchers of forms, the raw query and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.matching import body
from mockrec.engine.rules.matching.request import FORM_TYPE, RequestView
from mockrec.engine.rules.matching.spec import AnySpec, EntriesSpec, ValueSpec
from mockrec.engine.rules.matching.suggestions import body_suggestion, query_suggestion
from mockrec.engine.rules.matching.types import EXACT_QUERY, GRAPHQL, JSON_RPC, PART, TEXT, VALUE, JsonSchema
from mockrec.engine.rules.model import MultipartPart
from mockrec.engine.rules.wording import MAX_SHOWN, pattern_words, short, shown
from mockrec.engine.rules.yaml.containers import List, MapOf
from mockrec.engine.rules.yaml.regex import REGEX
from mockrec.engine.rules.yaml.strings import JsonPath
from mockrec.engine.rules.yaml.types import AnyJson, Str


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


BODY_ROWS: Final[tuple[AnySpec, ...]] = (
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
        key="graphql",
        type=GRAPHQL,
        about="A GraphQL operation, by POST or GET.",
        rank=26,
        reads_body=True,
        check=body.graphql_check,
        quick_size=lambda wanted: body.QUICK_DOCUMENT,
        phrase=lambda wanted: f"with the GraphQL operation {shown(wanted)}",
        found=body.found_graphql,
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
)
