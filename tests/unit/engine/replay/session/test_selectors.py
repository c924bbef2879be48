"""How places in a request are named."""

from __future__ import annotations

import pytest

from mockrec.engine.replay.session.selectors import parse_selector, parse_setting
from mockrec.formats.schema.vocabulary import Selector


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("header:X-Token", Selector("header", "x-token")),
        ("cookie:Sid", Selector("cookie", "Sid")),
        ("query:a:b", Selector("query", "a:b")),
        ("json:$.a[0]", Selector("json", "$.a[0]")),
        ("request.form:pin", Selector("form", "pin", "request")),
        ("response.name:id", Selector("name", "id", "response")),
    ],
)
def test_words(text: str, selector: Selector) -> None:
    assert parse_selector(text) == selector


def test_as_text() -> None:
    assert str(parse_selector("request.json:$.a")) == "request.json:$.a"
    assert [parse_selector(f"{side}name:a").is_about("request") for side in ("", "request.", "response.")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("text", ["", "token", "head:a", "header:", "json:a b[", "text:(", "both.header:a"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_selector(text)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("json:$.token=a=b", "$.token", "a=b"),
        ("json:$[?@.id=='a=b]'].t=x", "$[?@.id=='a=b]'].t", "x"),
        ("header:X=", "x", ""),
    ],
)
def test_the_value_begins_behind_the_selector(text: str, name: str, value: str) -> None:
    selector, found = parse_setting(text)
    assert (selector.value, found) == (name, value)


def test_a_setting_needs_a_value() -> None:
    with pytest.raises(ValueError, match="SELECTOR=VALUE"):
        parse_setting("json:$.token")
