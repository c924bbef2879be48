"""Changes of headers, path, host and body on the way to and from a server."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from mockrec.engine.rules.model import BodyChange, HeaderChanges, Replacements, RequestChanges
from mockrec.engine.steps.transform import TransformError, changed_body, changed_headers, changed_host, changed_path
from mockrec.formats.content.codings import codings_of, decode, encode

LIMIT = 1 << 20


def pairs_of(*pairs: tuple[str, str]) -> Replacements:
    return tuple((pattern, replacement) for pattern, replacement in pairs)


# ── headers ────────────────────────────────────────────────────────────────────────────────────────

HEADERS = [["Host", "a"], ["X-A", "1"], ["Accept", "*/*"], ["x-a", "2"]]


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        (HeaderChanges(), HEADERS),
        (HeaderChanges(replace=(("b", "1"), ("B", "2"))), [["b", "1"], ["B", "2"]]),
        (HeaderChanges(replace=()), []),
        (HeaderChanges(remove=("x-A", "none")), [["Host", "a"], ["Accept", "*/*"]]),
        (HeaderChanges(add=(("X-A", "3"),)), [*HEADERS, ["X-A", "3"]]),
        (HeaderChanges(set=(("x-A", "3"),)), [["Host", "a"], ["x-A", "3"], ["Accept", "*/*"]]),
        (
            HeaderChanges(set=(("X-A", "3"), ("new", "n"), ("x-a", "4"))),
            [["Host", "a"], ["X-A", "3"], ["x-a", "4"], ["Accept", "*/*"], ["new", "n"]],
        ),
        (
            HeaderChanges(set=(("x-a", "3"),), add=(("x-a", "4"),), remove=("x-a", "host")),
            [["Accept", "*/*"], ["x-a", "3"], ["x-a", "4"]],
        ),
    ],
)
def test_headers(changes: HeaderChanges, result: list[list[str]]) -> None:
    before = [list(pair) for pair in HEADERS]
    assert changed_headers(HEADERS, changes) == result
    assert before == HEADERS


def test_changed_headers_are_new_pairs() -> None:
    (pair,) = changed_headers([("a", "b")], HeaderChanges())
    assert pair == ["a", "b"]


# ── paths ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("before", "path", "query", "after"),
    [
        ("/a%2f?b='c'", [], [], "/a%2f?b='c'"),
        ("/a?", [], [], "/a?"),
        ("*", [], [], "*"),
        ("", [], [], "/"),
        ("?a", [], [], "/?a"),
        ("/api/v1/x", [("^/api/(v[0-9])", r"/\1")], [], "/v1/x"),
        ("/a/a", [("a", "b")], [], "/b/b"),
        ("/a", [("a", "b"), ("b", "c")], [], "/c"),
        ("/a?a", [("a", "b")], [], "/b?a"),
        ("?a", [("^/$", "/b")], [], "/b?a"),
        ("/a", [("^/", "")], [], "/a"),
        ("/a", [("a", "b c\té\r\n€\x7f")], [], "/b%20c%09%C3%A9%0D%0A%E2%82%AC%7F"),
        ("/a", [("a", "b?c#d%20")], [], "/b%3Fc%23d%20"),
        ("/a?x=1&y=2", [], [("x=1&?", "")], "/a?y=2"),
        ("/a?x=1", [], [(r"\?.*", "")], "/a"),
        ("/a", [], [("^$", "?z=1")], "/a?z=1"),
        ("/a", [], [("^$", "z=1")], "/a?z=1"),
        ("/a?x", [], [("x", "a b#c?d")], "/a?a%20b%23c?d"),
    ],
)
def test_paths(before: str, path: list[tuple[str, str]], query: list[tuple[str, str]], after: str) -> None:
    changes = RequestChanges(match_replace_path=pairs_of(*path), match_replace_query=pairs_of(*query))
    assert changed_path(before, changes) == after


# ── hosts ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({}, ("old.test", 8080)),
        ({"host": "new.test"}, ("new.test", None)),
        ({"host": "New.test:81"}, ("new.test", 81)),
        ({"host": "[::1]:81"}, ("::1", 81)),
        ({"host": "[::1]"}, ("::1", None)),
        ({"match_replace_host": pairs_of(("old", "new"))}, ("new.test", 8080)),
        ({"match_replace_host": pairs_of(("^(.*):8080$", r"\1:81"))}, ("old.test", 81)),
        ({"match_replace_host": pairs_of((":.*", ""))}, ("old.test", None)),
        ({"match_replace_host": pairs_of((".*:", "[::2]:"))}, ("::2", 8080)),
        ({"match_replace_host": pairs_of(("nothing", "new"))}, ("old.test", 8080)),
    ],
)
def test_hosts(changes: dict[str, Any], after: tuple[str, int | None]) -> None:
    assert changed_host("old.test", 8080, RequestChanges(**changes)) == after


def test_an_ipv6_address_is_matched_in_brackets() -> None:
    changes = RequestChanges(match_replace_host=pairs_of((r"^\[::1\]:80$", "[::2]:81")))
    assert changed_host("::1", 80, changes) == ("::2", 81)
    assert changed_host("::3", 80, changes) == ("::3", 80)


@pytest.mark.parametrize("made", ["", "a b:80", "a/b", "a:b", "a:0", "a:70000", "::1:80", "http://a"])
def test_a_host_that_is_none_is_refused(made: str) -> None:
    changes = RequestChanges(match_replace_host=pairs_of(("^.*$", made)))
    with pytest.raises(TransformError, match=r'^matchReplaceHost made "') as caught:
        changed_host("old.test", 80, changes)
    assert 'of "old.test:80"' in str(caught.value)


# ── bodies ─────────────────────────────────────────────────────────────────────────────────────────


def body_of(body: bytes, change: BodyChange, encoding: str = "", new: str | None = None) -> bytes:
    return changed_body(body, encoding, encoding if new is None else new, change, LIMIT, None)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "br", "zstd", "deflate", "X-Gzip, br"])
def test_another_body_is_encoded_as_the_head_says(encoding: str) -> None:
    codings = codings_of(encoding)
    new = changed_body(b"not even read", encoding, encoding, BodyChange(data=b"new"), 0, None)
    assert decode(new, codings, LIMIT) == (b"new", True)
    new = changed_body(b"not even read", "none", encoding, BodyChange(file="/a"), 0, b"from a file")
    assert decode(new, codings, LIMIT) == (b"from a file", True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@pytest.mark.parametrize(
    "change",
    [BodyChange(merge_json={"b": 2}, has_merge=True), BodyChange(match_replace=pairs_of(("}", ',"b":2}')))],
)
def test_a_body_is_decoded_changed_and_encoded_again(change: BodyChange, encoding: str) -> None:
    codings = codings_of(encoding)
    new = body_of(encode(b'{"a":1}', codings), change, encoding)
    assert decode(new, codings, LIMIT) == (b'{"a":1,"b":2}', True)
    assert body_of(encode(b'{"a":1}', codings), change, encoding, "") == b'{"a":1,"b":2}'


@pytest.mark.parametrize(
    "change",
    [
        BodyChange(merge_json={"a": 1}, has_merge=True),
        BodyChange(patch_json=({"op": "test", "path": "/a", "value": 1},)),
        BodyChange(patch_json=()),
        BodyChange(match_replace=pairs_of(("nothing", "x"), ("a", "a"))),
    ],
)
def test_a_body_that_does_not_change_stays_as_it_is(change: BodyChange) -> None:
    body = b' { "a" : 1 } '
    assert body_of(body, change) is body
    packed = gzip.compress(body)
    assert body_of(packed, change, "gzip") is packed
    assert body_of(packed, change, "gzip", "") == body


@pytest.mark.parametrize(
    ("body", "pairs", "after"),
    [
        ("aXbX", [("X", "-")], "a-b-"),
        ("ab", [("(a)(b)", r"\2\1")], "ba"),
        ("ab", [("(?P<x>a)", r"\g<x>\g<x>")], "aab"),
        ("é", [("é", "€")], "€"),
        ("", [("^$", "new")], "new"),
        ("a\r\nb", [("(?m)^b", "c")], "a\r\nc"),
    ],
)
def test_text_is_replaced(body: str, pairs: list[tuple[str, str]], after: str) -> None:
    assert body_of(body.encode(), BodyChange(match_replace=pairs_of(*pairs))) == after.encode()


def test_bytes_that_are_no_utf8_survive_a_replacement() -> None:
    every = bytes(range(256))
    assert body_of(every, BodyChange(match_replace=pairs_of(("A", "é")))) == every.replace(b"A", b"\xe9")
    with pytest.raises(TransformError, match='the body is not UTF-8, so "€" cannot be put into it'):
        body_of(every, BodyChange(match_replace=pairs_of(("A", "€"))))


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "merged", "after"),
    [
        ({"b": 1, "a": {"c": 1, "d": 2}}, {"a": {"c": None}}, {"b": 1, "a": {"c": None, "d": 2}}),
        ({"a": [1, {"b": 1}, 3]}, {"a": [9, {"c": 2}]}, {"a": [9, {"b": 1, "c": 2}, 3]}),
        ({"a": [1]}, {"a": [{"b": []}, 2]}, {"a": [{"b": []}, 2]}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {}, {"a": 1}),
        ([1, 2], [3], [3, 2]),
        ({"a": 1}, None, None),
        (1, {"a": 1}, {"a": 1}),
        ({"a": [1]}, {"a": []}, {"a": [1]}),
    ],
)
def test_json_is_merged(body: Any, merged: Any, after: Any) -> None:
    before = json.dumps(merged)
    new = body_of(json.dumps(body).encode(), BodyChange(merge_json=merged, has_merge=True))
    assert json.dumps(json.loads(new)) == json.dumps(after)
    assert json.dumps(merged) == before


def test_json_is_patched() -> None:
    change = BodyChange(
        patch_json=({"op": "add", "path": "/a/-", "value": {"b": None}}, {"op": "remove", "path": "/a/0"})
    )
    assert body_of(b'{"a": [1, 2]}', change) == b'{"a":[2,{"b":null}]}'


@pytest.mark.parametrize(
    "kept",
    [
        "123456789012345678901234567890",
        "-0.0",
        "1.0",
        "0.1",
        "1e+22",
        "true",
        '"é€😀"',
        r'"\"\\\n\u0001"',
        '{"z":1,"a":2,"":[]}',
    ],
)
def test_what_is_not_changed_in_json_survives(kept: str) -> None:
    change = BodyChange(merge_json={"new": 1.5}, has_merge=True)
    assert body_of(f'{{"kept": {kept}}}'.encode(), change).decode() == f'{{"kept":{kept},"new":1.5}}'


def test_half_of_a_surrogate_pair_stays_an_escape() -> None:
    change = BodyChange(merge_json={"b": "é"}, has_merge=True)
    assert body_of(rb'{"a": "\ud83d"}', change) == rb'{"a":"\ud83d","b":"\u00e9"}'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_in_other_encodings_becomes_utf8(encoding: str) -> None:
    assert body_of('{"a":"é"}'.encode(encoding), BodyChange(merge_json={"b": 1}, has_merge=True)) == (
        '{"a":"é","b":1}'.encode()
    )


MERGE = BodyChange(merge_json={"a": 1}, has_merge=True)


@pytest.mark.parametrize(
    ("body", "encoding", "change", "message"),
    [
        (b"", "", MERGE, "the body is not JSON that can be changed: it is empty"),
        (b" \r\n", "", MERGE, "it is empty"),
        (b"<p>", "", MERGE, "the body is not JSON that can be changed: Expecting value: line 1 column 1"),
        (b'"\xff"', "", MERGE, "it is not text"),
        (b"[NaN]", "", BodyChange(patch_json=()), "the body is not JSON that can be changed: NaN is no JSON"),
        (b'{"b":1e999}', "", MERGE, "the body is not JSON that can be changed: Out of range float values"),
        (b"1" * 5000, "", MERGE, "the body is not JSON that can be changed: "),
        (b"[" * 200_000, "", MERGE, "the body is JSON that is nested too deeply"),
        (
            b"{}",
            "",
            BodyChange(patch_json=({"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"})),
            'patchJson[1] cannot be done: remove /b: there is no "b"',
        ),
        (b"{}", "gzip", MERGE, "the body cannot be decoded (gzip): "),
        (b"{}", "br, rot13", MERGE, 'the body cannot be decoded (br, rot13): unknown content coding "rot13"'),
        (b"{}", "rot13", BodyChange(data=b"x"), 'the body cannot be encoded: unknown content coding "rot13"'),
        (gzip.compress(b" " * (LIMIT + 1)), "gzip", MERGE, f"too large to be changed: more than {LIMIT} bytes"),
        (gzip.compress(bytes(LIMIT * 10)), "gzip", MERGE, f"too large to be changed: more than {LIMIT} bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_told(body: bytes, encoding: str, change: BodyChange, message: str) -> None:
    with pytest.raises(TransformError) as caught:
        body_of(body, change, encoding)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        BodyChange(patch_json=tuple({"op": "copy", "from": "", "path": f"/{n}"} for n in range(60))),
        BodyChange(patch_json=tuple({"op": "copy", "from": "/a", "path": "/a/0"} for _ in range(60))),
        BodyChange(match_replace=pairs_of((".*", "\\g<0>" * 100), ("b", "c" * 1_000_000), ("c", "d" * 1000))),
        BodyChange(match_replace=pairs_of(("", "x" * 1_000_000))),
        BodyChange(match_replace=pairs_of(*[("a+", "\\g<0>\\g<0>")] * 60)),
    ],
    ids=["copies of all", "copies of a list", "many groups", "everywhere", "doubled"],
)
def test_a_change_cannot_make_much_of_little(change: BodyChange) -> None:
    body = b'{"a": [1, "aaaaaaaaaabbbbbbbbbbbbbbbbbbbb"]}'
    with pytest.raises(TransformError, match="more than 1048576"):
        changed_body(body, "", "", change, 1024, None)


def test_a_path_cannot_grow_without_end() -> None:
    changes = RequestChanges(match_replace_path=pairs_of(*[("a+", "\\g<0>\\g<0>")] * 60))
    with pytest.raises(TransformError, match="more than 1048576"):
        changed_path("/a", changes)


def test_long_replacements_that_fit_are_made() -> None:
    change = BodyChange(match_replace=pairs_of(("(b)", "<\\1" + "c" * 1000 + ">")))
    body = b"ab" * 900
    assert changed_body(body, "", "", change, 2_000_000, None) == body.replace(b"b", b"<b" + b"c" * 1000 + b">")


def test_copies_that_fit_are_made() -> None:
    change = BodyChange(patch_json=({"op": "copy", "from": "/a", "path": "/b"},))
    assert changed_body(b'{"a":[1]}', "", "", change, 1024, None) == b'{"a":[1],"b":[1]}'
