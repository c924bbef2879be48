"""Matchers of a request's head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.head import template_names
from mockrec.engine.rules.matching.match import compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import Condition, When

RequestOf = Callable[..., RequestView]


def matches(request: RequestView, **given: Any) -> bool | None:
    return compile_when(When(given=tuple(given), **given), _no_handler).match(request)


def _no_handler(name: str) -> Any:
    raise AssertionError(name)


def test_an_empty_when_matches_everything(request_of: RequestOf) -> None:
    assert matches(request_of(complete=False)) is True


@pytest.mark.parametrize(
    ("wanted", "method", "answer"),
    [
        (("GET",), "GET", True),
        (("GET",), "POST", False),
        (("GET",), "get", False),
        (("GET", "POST"), "POST", True),
        (("GET", "POST"), "PUT", False),
        (("ANY",), "BREW", True),
    ],
)
def test_method(request_of: RequestOf, wanted: tuple[str, ...], method: str, answer: bool) -> None:
    assert matches(request_of(method), method=wanted) is answer


@pytest.mark.parametrize(
    ("path", "url", "answer"),
    [
        ("/a", "http://x.test/a", True),
        ("/a", "http://x.test/a?b=c", True),
        ("/a", "http://x.test/a/", False),
        ("/A", "http://x.test/a", False),
        ("/a%2fb", "http://x.test/a%2Fb", True),
        ("/é", "http://x.test/%c3%a9", True),
        ("/%61", "http://x.test/a", False),
        ("/*", "http://x.test/a", False),
    ],
)
def test_path(request_of: RequestOf, path: str, url: str, answer: bool) -> None:
    assert matches(request_of("GET", url), path=path) is answer


@pytest.mark.parametrize(
    ("pattern", "url", "answer"),
    [
        ("/a?ignored=1", "https://x.test:9/a", True),
        ("/a", "http://x.test/b", False),
        ("//a", "http://x.test//a", True),
        ("http://X.test/a", "http://x.test/a?q", True),
        ("http://x.test:80/a", "http://x.test/a", True),
        ("http://x.test/a", "https://x.test/a", False),
        ("http://x.test/a", "http://x.test:81/a", False),
        ("http://x.test:81/a", "http://x.test:81/a", True),
        ("https://x.test:443", "https://x.test/", True),
        ("wss://x.test/a", "wss://x.test/a", True),
        ("x.test/a", "http://x.test/a", True),
        ("x.test/a", "https://x.test/a", True),
        ("x.test/a", "https://x.test:80/a", False),
        ("x.test:80/a", "http://x.test/a", True),
        ("x.test/a", "http://y.test/a", False),
        ("x.test/a", "http://x.test/b", False),
        ("x.test.", "http://x.test/", True),
        ("münchen.test/a", "http://xn--mnchen-3ya.test/a", True),
    ],
)
def test_url(request_of: RequestOf, pattern: str, url: str, answer: bool) -> None:
    assert matches(request_of("GET", url), url=pattern) is answer


@pytest.mark.parametrize(
    ("template", "path", "params"),
    [
        ("/users/{id}", "/users/7", {"id": "7"}),
        ("/users/{id}", "/users/a%20b%2Fc", {"id": "a b/c"}),
        ("/users/{id}", "/users/", None),
        ("/users/{id}", "/users/7/posts", None),
        ("/users/{id}", "/user/7", None),
        ("/{a}/x/{b-1}", "/1/x/2", {"a": "1", "b-1": "2"}),
        ("/files/{name}.json", "/files/a.b.json", {"name": "a.b"}),
        ("/files/{name}.json", "/files/axjson", None),
        ("/plain", "/plain", {}),
    ],
)
def test_path_template(request_of: RequestOf, template: str, path: str, params: dict[str, str] | None) -> None:
    request = request_of("GET", f"http://x.test{path}?q=1")
    assert matches(request, path_template=template) is (params is not None)
    assert dict(request.params) == (params or {})


def test_template_names_are_in_order() -> None:
    assert template_names("/{b}/x{a}/{not a name}") == ("b", "a")


def test_regexes_are_searched_and_see_no_query(request_of: RequestOf) -> None:
    request = request_of("GET", "http://x.test/users/42?admin=1")
    assert matches(request, path_regex=r"\d+$")
    assert not matches(request, path_regex="x.test|admin")
    assert matches(request, url_regex=r"^http://x\.test/users")
    assert not matches(request, url_regex="admin")


@pytest.mark.parametrize(
    ("given", "url", "answer"),
    [
        ({"host": "x.test"}, "http://x.test/", True),
        ({"host": "X.TEST:80"}, "http://x.test/", True),
        ({"host": "x.test:443"}, "https://x.test/", True),
        ({"host": "x.test"}, "http://x.test:81/", False),
        ({"host": "x.test:81"}, "http://x.test:81/", True),
        ({"host": "y.test"}, "http://x.test/", False),
        ({"host": "[::1]:81"}, "http://[::1]:81/", True),
        ({"hostname": "X.test"}, "http://x.test:81/", True),
        ({"hostname": "*.x.test"}, "http://a.b.x.test/", True),
        ({"hostname": "*.x.test"}, "http://x.test/", False),
        ({"hostname": "api-*.test"}, "http://api-1.test/", True),
        ({"hostname": "api-*.test"}, "http://api-1xtest/", False),
        ({"port": 81}, "http://x.test:81/", True),
        ({"port": 443}, "https://x.test/", True),
        ({"port": 80}, "https://x.test/", False),
        ({"protocol": "https"}, "https://x.test/", True),
        ({"protocol": "https"}, "http://x.test/", False),
        ({"protocol": "ws"}, "ws://x.test/", True),
    ],
)
def test_where_a_request_goes(request_of: RequestOf, given: dict[str, Any], url: str, answer: bool) -> None:
    assert matches(request_of("GET", url), **given) is answer


def test_websocket(request_of: RequestOf) -> None:
    upgrade = request_of("GET", "ws://x.test/", websocket=True)
    assert matches(upgrade, websocket=True) is True
    assert matches(upgrade, websocket=False) is False
    assert matches(request_of(), websocket=False) is True


HEADERS = [("X-A", "1"), ("x-a", "2"), ("Accept", "text/html, */*"), ("X-Empty", "")]


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"ACCEPT": "text/html, */*"}, True),
        ({"accept": "text/html"}, False),
        ({"x-a": "2"}, True),
        ({"x-a": "1, 2"}, True),
        ({"x-a": "3"}, False),
        ({"x-a": ("2", "1")}, True),
        ({"x-a": ("1", "3")}, False),
        ({"x-a": Condition(regex="^1, 2$")}, True),
        ({"x-a": Condition(gte=2)}, True),
        ({"x-b": Condition(absent=True)}, True),
        ({"x-a": Condition(absent=True)}, False),
        ({"x-empty": ""}, True),
        ({"x-empty": Condition(present=True)}, True),
        ({"x-a": "1", "x-b": "2"}, False),
        ({}, True),
    ],
)
def test_headers(request_of: RequestOf, headers: dict[str, Any], answer: bool) -> None:
    assert matches(request_of(headers=HEADERS), headers=headers) is answer


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"a": "1"}, True),
        ({"a": "2"}, True),
        ({"a": ("2", "1")}, True),
        ({"a": ("1", "3")}, False),
        ({"A": "1"}, False),
        ({"b": "x y"}, True),
        ({"c": ""}, True),
        ({"d": Condition(absent=True)}, True),
        ({"a": 1, "d": "x"}, False),
        ({}, True),
    ],
)
def test_query(request_of: RequestOf, query: dict[str, Any], answer: bool) -> None:
    assert matches(request_of("GET", "http://x.test/?a=1&b=x+y&a=2&c"), query=query) is answer


@pytest.mark.parametrize(
    ("exact", "url", "answer"),
    [
        ("?a=1&b=%20", "http://x.test/?a=1&b=%20", True),
        ("?a=1&b=%20", "http://x.test/?a=1&b=+", False),
        ("", "http://x.test/", True),
        ("", "http://x.test/?", False),
        ("?", "http://x.test/?", True),
    ],
)
def test_exact_query(request_of: RequestOf, exact: str, url: str, answer: bool) -> None:
    assert matches(request_of("GET", url), exact_query=exact) is answer


def test_cookies_are_a_subset(request_of: RequestOf) -> None:
    request = request_of(headers=[("Cookie", "a=1; b=2"), ("Cookie", "c=3=3")])
    assert matches(request, cookies={"a": "1", "c": "3=3"})
    assert not matches(request, cookies={"a": "1", "d": "4"})
    assert matches(request, cookies={"d": Condition(absent=True)})


def test_all_matchers_must_match(request_of: RequestOf) -> None:
    request = request_of("GET", "http://x.test/a")
    assert matches(request, method=("GET",), path="/a") is True
    assert matches(request, method=("GET",), path="/b") is False
    assert matches(request, method=("PUT",), path="/a") is False
