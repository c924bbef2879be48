"""Values of HTML inputs and meta elements whose names are secret."""

from __future__ import annotations

import json

import pytest

from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor

PLACEHOLDERS = Placeholders(b"key")
V = "qT5xR8mZ2k"


def redactor(add: tuple[str, ...] = (), keep: tuple[str, ...] = ()) -> Redactor:
    return Redactor(Policy(add, keep), PLACEHOLDERS)


TAGS = [
    f'<input type="hidden" name="csrfmiddlewaretoken" value="{V}">',
    f"<input value='{V}' type=hidden name='authenticity_token'/>",
    f"<INPUT NAME=_token VALUE={V}>",
    f'<input\n  type = "hidden"\n  value = "{V}"\n  name = "__RequestVerificationToken"\n>',
    f'<input value="{V}" title="a > b, \' & <c>" name="user[password]">',
    f'<input type="password" name="x" value="{V}">',
    f"<input value={V} type=password>",
    f'<meta name="csrf-token" content="{V}" />',
    f"<meta content='{V}' name='_csrf'>",
    f'<meta property="x:api-key" content="{V}">',
    f'<button name="otp" value="{V}">ok</button>',
    f'<input id="csrf" value="{V}">',
    f'<input name="pass" value="{V}" value="second">',
    f'<input name="csrf&#95;token" value="{V}">',
    f'<input type="hidden" name="token" value="{V}',  # truncated
    f"<input name=token value={V}",
    json.dumps({"html": f'<p><input name="csrf_token" value="{V}"></p>'}),
    json.dumps({"html": f"<input value='{V}' name='csrf_token'>"}),
]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain", "application/json", ""])
@pytest.mark.parametrize("tag", TAGS)
def test_secret_values(tag: str, kind: str) -> None:
    for text in (tag, f"<form>\n<b>x</b> {tag}"):
        redacted = redactor().body(text.encode(), kind, "response", None).decode()
        assert redacted == text.replace(V, PLACEHOLDERS.of(V))


@pytest.mark.parametrize("size", [1, 2, 7, 30, 1000])
@pytest.mark.parametrize("tag", TAGS)
def test_pages_in_pieces(tag: str, size: int) -> None:
    one = redactor()
    hold, page = one.hold(), f"<p>text\n</p>{tag}".encode()
    pieces = []
    for start in range(0, len(page), size):
        pieces += [hold.feed(page[start : start + size]), hold.release()]
    redacted = b"".join(one.body(piece, "text/html", "response", None) for piece in [*pieces, hold.end()])
    assert V.encode() not in redacted


@pytest.mark.parametrize(
    "page",
    [
        f'<input type="hidden" name="page" value="{V}">',
        f'<meta name="csrf-param" content="{V}">',
        f'<meta name="description" content="{V}"><input name="token">',
        f'<input name="csrf" value=""><input name="q" value="{V}">',
        f'<p name="token" value="{V}">',
        f'<input name="max_tokens" value="{V}">',
        f'"name=token" <b>{V}</b>',
        f'<input name="token" value="redacted-0123abcd" class="{V}">',
    ],
)
def test_what_is_not_secret_stays(page: str) -> None:
    assert redactor().body(page.encode(), "text/html", "response", None) == page.encode()


def test_settings_hold_for_inputs() -> None:
    page = f'<input name="csrf" value="{V}">'.encode()
    assert redactor(keep=("name:csrf",)).body(page, "text/html", "response", None) == page
    other = page.replace(b"csrf", b"tenant")
    assert V.encode() not in redactor(add=("form:tenant",)).body(other, "text/html", "response", None)


def test_a_value_is_known_in_its_other_form() -> None:
    page = '<input name="csrf" value="a&#x2B;bcdefg&amp;h"> a+bcdefg&h'
    placeholder = PLACEHOLDERS.of("a+bcdefg&h")
    redacted = redactor().body(page.encode(), "text/html", "response", None).decode()
    assert redacted == f'<input name="csrf" value="{placeholder}"> {placeholder}'
