"""JSON Patch: the examples of RFC 6902 (appendix A), and what they leave open."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mockrec.engine.steps.json_patch import PatchError, apply_patch

# Document, patch, result; the names are the RFC's.
EXAMPLES: dict[str, tuple[Any, list[dict[str, Any]], Any]] = {
    "A.1 adding an object member": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux"}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.2 adding an array element": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3 removing an object member": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "remove", "path": "/baz"}],
        {"foo": "bar"},
    ),
    "A.4 removing an array element": (
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    "A.5 replacing a value": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6 moving a value": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7 moving an array element": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8 testing a value: success": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.10 adding a nested member object": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11 ignoring unrecognized elements": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.14 ~ escape ordering": (
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": 10}],
        {"/": 9, "~1": 10},
    ),
    "A.16 adding an array value": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    # Beyond the RFC's examples.
    "copying": ({"a": {"b": [1]}}, [{"op": "copy", "from": "/a/b", "path": "/c"}], {"a": {"b": [1]}, "c": [1]}),
    "a copy is a value of its own": (
        {"a": [1]},
        [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/a/-", "value": 2}],
        {"a": [1, 2], "b": [1]},
    ),
    "an added value can be changed": (
        {},
        [{"op": "add", "path": "/a", "value": []}, {"op": "add", "path": "/a/0", "value": 1}],
        {"a": [1]},
    ),
    "adding to the end by its index": ([1], [{"op": "add", "path": "/1", "value": 2}], [1, 2]),
    "adding what is there": ({"a": 1, "b": 2}, [{"op": "add", "path": "/a", "value": 3}], {"a": 3, "b": 2}),
    "the whole document": ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
    "another document": ({"a": 1}, [{"op": "add", "path": "", "value": None}], None),
    "a member becomes the document": ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": ""}], {"b": 1}),
    "moving to where it is": ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    "moving up": ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/a"}], {"a": 1}),
    "an empty key": ({"": {"": 1}}, [{"op": "replace", "path": "//", "value": 2}], {"": {"": 2}}),
    "a key that looks like an index": ({"0": 1}, [{"op": "remove", "path": "/0"}], {}),
    "null is a value": ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
    "equal in any order": (
        {"a": {"b": 1, "c": [1.0]}},
        [{"op": "test", "path": "/a", "value": {"c": [1], "b": 1}}],
        {"a": {"b": 1, "c": [1.0]}},
    ),
    "no operation": ({"a": 1}, [], {"a": 1}),
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_patch_gives_its_document(name: str) -> None:
    document, patch, result = EXAMPLES[name]
    before = copy.deepcopy((document, patch))
    after = apply_patch(document, patch)
    assert after == result
    assert json.dumps(after) == json.dumps(result)
    assert (document, patch) == before


FAILURES: dict[str, tuple[Any, list[dict[str, Any]], int, str]] = {
    "A.9 testing a value: error": (
        {"baz": "qux"},
        [{"op": "test", "path": "/baz", "value": "bar"}],
        0,
        "test /baz: the value there is another one",
    ),
    "A.12 adding to a nonexistent target": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz/bat", "value": "qux"}],
        0,
        'add /baz/bat: there is no "baz"',
    ),
    "A.15 comparing strings and numbers": (
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": "10"}],
        0,
        "test /~01: the value there is another one",
    ),
    "true is not one": ([True], [{"op": "test", "path": "/0", "value": 1}], 0, "another one"),
    "the second of two": (
        {"a": 1},
        [{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}],
        1,
        'remove /a: there is no "a"',
    ),
    "replacing what is not there": ({}, [{"op": "replace", "path": "/a", "value": 1}], 0, 'there is no "a"'),
    "copying what is not there": ({}, [{"op": "copy", "from": "/a", "path": "/b"}], 0, 'copy /a /b: there is no "a"'),
    "moving into itself": (
        {"a": {}},
        [{"op": "move", "from": "/a", "path": "/a/b"}],
        0,
        "move /a /a/b: nothing can be moved into itself",
    ),
    "removing everything": ({}, [{"op": "remove", "path": ""}], 0, "the whole document cannot be removed"),
    "behind the end": (
        [1],
        [{"op": "add", "path": "/2", "value": 1}],
        0,
        "the list has 1 items, so none can be added at 2",
    ),
    "no such item": ([1], [{"op": "remove", "path": "/1"}], 0, "the list has 1 items, so there is none at 1"),
    "nothing at the end": ([1], [{"op": "remove", "path": "/-"}], 0, "nothing behind the last item"),
    "a leading zero": ([1, 2], [{"op": "remove", "path": "/01"}], 0, '"01" is not an index of a list'),
    "a negative index": ([1, 2], [{"op": "remove", "path": "/-1"}], 0, '"-1" is not an index of a list'),
    "other digits": ([1, 2], [{"op": "remove", "path": "/\u0661"}], 0, "is not an index of a list"),
    "endless digits": ([1], [{"op": "remove", "path": "/" + "1" * 5000}], 0, "is not an index of a list"),
    "into a text": ({"a": "b"}, [{"op": "add", "path": "/a/0", "value": 1}], 0, "a text has no members"),
    "below a number": ([1], [{"op": "remove", "path": "/0/0"}], 0, "a number has no members"),
    "below null": (None, [{"op": "test", "path": "/a", "value": 1}], 0, "null has no members"),
    "below true": ([True], [{"op": "test", "path": "/0/a", "value": 1}], 0, "true has no members"),
    "an unknown operation": ({}, [{"op": "spoil", "path": "/a"}], 0, "there is no operation 'spoil'"),
    "no operation at all": ({}, [{"path": "/a"}], 0, "there is no operation None"),
    "no value": ({}, [{"op": "add", "path": "/a"}], 0, "add /a: the value is missing"),
    "no place": ({}, [{"op": "remove"}], 0, "remove: path is not a JSON pointer"),
    "not a pointer": ({"a": 1}, [{"op": "copy", "from": "a", "path": "/b"}], 0, "from is not a JSON pointer"),
}


@pytest.mark.parametrize("name", list(FAILURES))
def test_a_patch_that_cannot_be_done_says_where_and_why(name: str) -> None:
    document, patch, index, reason = FAILURES[name]
    before = copy.deepcopy((document, patch))
    with pytest.raises(PatchError) as caught:
        apply_patch(document, patch)
    assert caught.value.index == index
    assert reason in caught.value.reason
    assert str(caught.value) == f"operation {index}: {caught.value.reason}"
    assert (document, patch) == before
