"""What of a request counts, what does not, and where two requests differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.engine.replay.session.fingerprint import (
    MatchOptions,
    differences,
    fits,
    has_marks,
    key_of,
    match_key_of,
    text_of,
)
from mockrec.engine.replay.session.selectors import parse_selector
from mockrec.engine.rules.matching.request import RequestView

MARK = "redacted-0123abcd"


def view(
    url: str = "http://a.test/p?b=1&a=2&b=3", method: str = "GET", body: bytes = b"", **headers: str
) -> RequestView:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made = RequestView(
        method, "http", url, "a.test", 80, url, named, [[*pair] for pair in named.items()], False, lambda: body
    )
    made.body_complete = True
    return made


def facts(request: RequestView, *by: str, ignore: tuple[str, ...] = (), cut: bool = False) -> Any:
    match = MatchOptions(by or ("method", "url", "body"), tuple(parse_selector(text) for text in ignore))
    return match_key_of(request, match, cut=cut)


def test_method_url_and_body_are_the_default() -> None:
    assert facts(view()) == {
        "websocket": False,
        "method": "GET",
        "path": "/p",
        "query": {"b": ["1", "3"], "a": ["2"]},
        "body": {"text": ""},
    }


def test_each_word_takes_its_own() -> None:
    request = view(x_a="1")
    assert facts(request, "path") == {"websocket": False, "path": "/p"}
    assert "path" not in facts(request, "query")
    assert facts(request, "headers:X-A", "headers:x-b")["header"] == {"x-a": "1", "x-b": None}


def test_the_order_of_parameters_and_members_does_not_count() -> None:
    one = facts(view("http://a/?a=1&b=2", "POST", b'{"a": 1, "b": 2}', content_type="application/json"))
    other = facts(view("http://a/?b=2&a=1", "POST", b'{"b":2,"a":1}', content_type="application/json"))
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize("body", [b"\xff=1", b"a=%FF"])
def test_what_is_no_form_is_told_apart_whatever_its_type(body: bytes) -> None:
    form = "application/x-www-form-urlencoded"
    one, other = (
        view(method="POST", body=data, content_type=form)
        for data in (body, body.replace(b"F", b"E").replace(b"\xff", b"\xfe"))
    )
    assert key_of(facts(one)) != key_of(facts(other))
    assert "form" not in facts(one)["body"]
    assert facts(view(method="POST", body=b"a=1", content_type=form))["body"] == {"form": {"a": ["1"]}}


MULTIPART = '--{0}\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhi\r\n--{0}--\r\n'


@pytest.mark.parametrize(
    ("kind", "data", "body"),
    [
        ("application/json", b"[1, 2]", {"json": [1, 2]}),
        ("application/json", b"{broken", {"text": "{broken"}),
        ("application/x-www-form-urlencoded", b"a=1&b=&a=2", {"form": {"a": ["1", "2"], "b": [""]}}),
        ("multipart/form-data; boundary=x", MULTIPART.format("x").encode(), {"part": [["f", "a", "hi"]]}),
        ("multipart/form-data; boundary=yy", MULTIPART.format("yy").encode(), {"part": [["f", "a", "hi"]]}),
        ("text/plain", b"hi", {"text": "hi"}),
        (
            "image/png",
            b"\xff",
            {"text": "1 bytes, sha256 a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89"},
        ),
    ],
)
def test_bodies_by_type(kind: str, data: bytes, body: Any) -> None:
    assert facts(view(body=data, content_type=kind))["body"] == body


def test_json_whatever_the_type() -> None:
    assert facts(view(body=b"{}"), "json")["body"] == {"json": {}}


def test_a_body_that_cannot_be_decoded() -> None:
    def fail() -> bytes:
        raise ValueError("no gzip")

    request = RequestView("GET", "http", "http://a/", "a", 80, "/", {}, [], False, fail)
    assert facts(request)["body"] == {"undecodable": True}


def test_what_is_ignored() -> None:
    request = view(
        "http://a/?ts=1&q=2",
        "POST",
        b'{"ts": 1, "l": [{"ts": 1, "n": 2}, {"ts": 3}]}',
        content_type="application/json",
        cookie="a=1; ts=2",
    )
    every = ("url", "body", "headers:cookie")
    assert facts(request, *every, ignore=("json:$..ts", "query:ts", "cookie:ts")) == {
        "websocket": False,
        "path": "/",
        "query": {"q": ["2"]},
        "header": {"cookie": "a=1"},
        "body": {"json": {"l": [{"n": 2}, {}]}},
    }
    assert facts(request, *every, ignore=("name:ts",))["body"] == {"json": {"l": [{"n": 2}, {}]}}
    assert facts(request, *every, ignore=("json:$.l[0,1]",))["body"] == {"json": {"ts": 1, "l": []}}
    assert facts(request, *every, ignore=("json:$.l[0]", "json:$.l[1]"))["body"] == {"json": {"ts": 1, "l": []}}
    assert facts(request, *every, ignore=("json:$",))["body"] == {"json": None}
    assert facts(request, *every, ignore=("response.name:ts",)) == facts(request, *every)
    assert request.json["ts"] == 1
    form = view(body=b"a=1&b=2", content_type="application/x-www-form-urlencoded")
    assert facts(form, "body", ignore=("form:a",))["body"] == {"form": {"b": ["2"]}}
    parts = view(body=MULTIPART.format("x").encode(), content_type="multipart/form-data; boundary=x")
    assert facts(parts, "body", ignore=("form:f",))["body"] == {"part": []}
    assert facts(view(body=b"at 12:30"), "body", ignore=(r"text:\d\d:\d\d",))["body"] == {"text": "at "}
    assert facts(view(x_t="1"), "headers:x-t", ignore=("header:X-T",))["header"] == {}


def test_marks_stand_for_any_value() -> None:
    recorded = {"a": MARK, "b": f"Bearer {MARK}.x", "c": [MARK, 1]}
    assert has_marks(recorded)
    assert not has_marks({"a": "redacted-"})
    assert fits(recorded, {"a": {"any": "thing"}, "b": "Bearer 12.x", "c": [None, 1]})
    assert not fits(recorded, {"b": "Bearer 12.x", "c": [None, 1]})
    assert not fits(recorded, {"a": 1, "b": "Basic 12.x", "c": [None, 1]})
    assert fits(facts(view(), cut=True), facts(view(body=b"whatever")))


def test_differences_are_named_as_selectors() -> None:
    def of(body: Any, query: str = "a=1") -> Any:
        request = view(f"http://a/?{query}", "POST", json.dumps(body).encode(), content_type="application/json", x="1")
        return facts(request, "method", "url", "body", "headers:x")

    found = list(differences(of({"a": [1, 2], "b c": 1}), of({"a": [1, 3], "d": 1}, "a=2&b=3")))
    assert found == [
        ("query:a", "1", "2"),
        ("query:b", ..., ["3"]),
        ("json:$.a[1]", 2, 3),
        ('json:$["b c"]', 1, ...),
        ("json:$.d", ..., 1),
    ]
    assert list(differences({"header": {"x": None}}, {"header": {"x": "1"}})) == [("header:x", None, "1")]
    assert list(differences({"body": {"text": "a"}}, {"body": {"json": 1}})) == [("body", "a", ...), ("json:$", ..., 1)]
    assert list(differences({"body": {"form": {"a": ["1"]}}}, {"body": {"form": {"a": ["2"]}}})) == [
        ("form:a", "1", "2")
    ]
    assert list(differences(True, 1)) == [("", True, 1)]


@pytest.mark.parametrize("body", ["1e999", "null", "1" + "0" * 40, '"\\ud800"', "1.0", "1", "-0.0", "true", '"null"'])
def test_texts_of_facts_are_equal_for_equal_values_alone(body: str) -> None:
    others = {"1e999", "null", "1" + "0" * 40, '"\\ud800"', "1.0", "1", "-0.0", "true", '"null"'} - {body}
    told = text_of({"b": json.loads(body), "a": 1})
    assert told == text_of({"a": 1, "b": json.loads(body)})
    assert told not in {text_of({"a": 1, "b": json.loads(other)}) for other in others}


def graphql(query: str, **variables: Any) -> RequestView:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return view("http://a.test/graphql", "POST", body, content_type="application/json")


def test_white_space_of_a_graphql_document_does_not_count() -> None:
    one = facts(graphql("query Cart { cart(id: 1, x: 2) }", id=7))

    assert fits(one, facts(graphql("query Cart {\n  # mine\n  cart(id: 1 x: 2)\n}", id=7)))
    assert [place for place, *_ in differences(one, facts(graphql("query Cart { cart(id: 1, x: 2) }", id=8)))] == [
        "json:$.variables.id"
    ]
    assert not fits(one, facts(graphql('query Cart { cart(id: "1", x: 2) }', id=7)))


def test_a_malformed_graphql_document_counts_as_it_is() -> None:
    assert fits(facts(graphql('{ cart "')), facts(graphql('{ cart "')))
    assert not fits(facts(graphql('{ cart "')), facts(graphql('{  cart "')))
