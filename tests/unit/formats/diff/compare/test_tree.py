"""JSON documents by path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.formats.diff.compare import documents, tree
from mockrec.formats.diff.compare.documents import parse
from mockrec.formats.diff.compare.tree import compare
from mockrec.formats.diff.compare.values import ValueComparer


def differences(a: str, b: str, values: ValueComparer) -> list[tuple[str, str]]:
    return [(str(change.kind), change.path) for change in compare(parse(a), parse(b), values)]


@pytest.mark.parametrize(
    ("a", "b", "changes"),
    [
        ("{}", "{}", []),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', []),
        ('{"a":1}', '{"a":2}', [("value", "$.a")]),
        ('{"a":1}', '{"a":"1"}', [("type", "$.a")]),
        ('{"a":1}', '{"a":null}', [("type", "$.a")]),
        ('{"a":null}', "{}", [("removed", "$.a")]),
        ("{}", '{"a":null}', [("added", "$.a")]),
        ('{"a":1.0}', '{"a":1}', []),
        ('{"a":{"b c":[1,2]}}', '{"a":{"b c":[1,3]}}', [("value", "$.a['b c'][1]")]),
        ("[1,2,3]", "[1,3]", [("removed", "$[1]")]),
        ("[1,3]", "[1,2,3]", [("added", "$[1]")]),
        ("[1,2,3]", "[1,9]", [("value", "$[1]"), ("removed", "$[2]")]),
        ("12345678901234567890123", "12345678901234567890124", [("value", "$")]),
        ("9007199254740993", "9007199254740992", [("value", "$")]),
        ("9007199254740993.0", "9007199254740992.0", [("value", "$")]),
        ('{"a":1,"a":2}', '{"a":1,"a":3}', [("value", "$.a(2)")]),
        ('{"a":1,"a":2}', '{"a":1}', [("removed", "$.a(2)")]),
        ("[]", "{}", [("type", "$")]),
        ('"550e8400-e29b-41d4-a716-446655440000"', '"650e8400-e29b-41d4-a716-446655440000"', []),
        ('"550e8400-e29b-41d4-a716-446655440000"', "7", [("type", "$")]),
    ],
)
def test_changes(values: ValueComparer, a: str, b: str, changes: list[tuple[str, str]]) -> None:
    assert differences(a, b, values) == changes


def test_arrays_of_objects_with_ids_are_compared_by_id(values: ValueComparer) -> None:
    a = '[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]'
    assert differences(a, '[{"id":1,"n":"a"},{"id":3,"n":"c"}]', values) == [("removed", "$[?@.id==2]")]
    assert differences(a, '[{"id":9,"n":"z"},{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]', values) == [
        ("added", "$[?@.id==9]")
    ]
    assert differences(a, '[{"id":1,"n":"a"},{"id":2,"n":"x"},{"id":3,"n":"c"}]', values) == [
        ("value", "$[?@.id==2].n")
    ]
    assert differences(a, '[{"id":3,"n":"c"},{"id":2,"n":"b"},{"id":1,"n":"a"}]', values) == [("moved", "$")]


def test_ids_that_are_texts_and_places_in_both_documents(values: ValueComparer) -> None:
    found = compare(parse('[{"key":"a","v":1},{"key":"b","v":1}]'), parse('[{"key":"b","v":2}]'), values)
    assert [(one.path, one.locations) for one in found] == [
        ('$[?@.key=="a"]', ((0,), None)),
        ('$[?@.key=="b"].v', ((1, "v"), (0, "v"))),
    ]


@pytest.mark.parametrize(
    ("a", "b", "path"),
    [
        # ids that are new in each run, repeated, or missing: items are paired by index
        ('[{"id":1,"n":"a"}]', '[{"id":2,"n":"b"}]', "$[0].id"),
        ('[{"id":1,"n":"a"},{"id":1,"n":"b"}]', '[{"id":1,"n":"a"},{"id":1,"n":"c"}]', "$[1].n"),
        ('[{"x":1},{"x":2}]', '[{"x":1},{"x":3}]', "$[1].x"),
        ('[{"id":1},7]', '[{"id":1},8]', "$[1]"),
    ],
)
def test_arrays_without_useful_ids(values: ValueComparer, a: str, b: str, path: str) -> None:
    assert path in [found for _, found in differences(a, b, values)]


def test_deeply_nested_json_is_compared_as_text(values: ValueComparer) -> None:
    def nested(inner: Any, depth: int = 250) -> Any:
        for _ in range(depth):
            inner = [inner]
        return inner

    assert [change.kind for change in compare(nested(1), nested(2), values)] == ["value"]
    assert not list(compare(nested(1), nested(1), values))


def test_a_path_is_built_once_for_a_container(strict: ValueComparer, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Any] = []
    written = documents.step
    monkeypatch.setattr(tree, "step", lambda part: steps.append(part) or written(part))
    begin, end = '{"a":' * 400, "}" * 400
    items = [json.dumps([{"id": number, "v": number + more} for number in range(500)]) for more in (0, 1)]
    a, b = (parse(begin + item + end) for item in items)
    found = list(compare(a, b, strict))
    assert [change.path for change in found[:2]] == [f"${'.a' * 400}[?@.id=={number}].v" for number in (0, 1)]
    assert found[1].locations == ((*"a" * 400, 1, "v"),) * 2
    assert len(found) == 500
    assert len(steps) < 1_000
