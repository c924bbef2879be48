"""What needs no recorder: how requests are written, and how expressions are cut."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mockrec.testing.exchanges import Exchange, report
from mockrec.testing.fixture import _clauses, _likeness, _when


@pytest.mark.parametrize(
    ("request_line", "when"),
    [
        ("POST /orders", {"method": "POST", "path": "/orders"}),
        ("/orders", {"path": "/orders"}),
        ("get /orders/{id}", {"method": "GET", "pathTemplate": "/orders/{id}"}),
        ("GET /orders?a=1", {"method": "GET", "path": "/orders", "exactQuery": "?a=1"}),
        ("https://api.test/x?b", {"url": "https://api.test/x", "exactQuery": "?b"}),
        ("DELETE *", {"method": "DELETE"}),
        ("*", {}),
    ],
)
def test_requests(request_line: str, when: dict[str, Any]) -> None:
    assert _when(request_line) == when


@pytest.mark.parametrize("wrong", ["", "POST", "a b c"])
def test_no_requests(wrong: str) -> None:
    if wrong == "POST":
        assert _when(wrong) == {"url": "POST"}  # the recorder refuses it, and says why
    else:
        with pytest.raises(ValueError, match="expected a request such as"):
            _when(wrong)


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("a == 1", ["a == 1"]),
        ("a == 1 and b == 2 && c", ["a == 1", "b == 2", "c"]),
        ("a == ' and ' and b", ["a == ' and '", "b"]),
        ('a == "\\" and " and b', ['a == "\\" and "', "b"]),
        ("json[$['x and y']] == 1 and (b and c)", ["json[$['x and y']] == 1", "(b and c)"]),
    ],
)
def test_parts_of_an_expression(where: str, parts: list[str]) -> None:
    assert list(_clauses(where)) == parts


def test_the_nearest_request_comes_first() -> None:
    base = {"id": "1", "scope": None, "rule": None, "duration": 1, "response": None}
    far, near = (
        Exchange({**base, "request": {"method": "GET", "url": f"http://a.test{path}", "path": path}})
        for path in ("/f" * 5000, "/orders/8?x=1")
    )
    assert _likeness("path == /orders/7", near) > _likeness("path == /orders/7", far)


def test_a_report_is_bounded() -> None:
    one = {"id": "1", "scope": None, "rule": None, "duration": 1, "response": None}
    exchanges = [Exchange({**one, "request": {"method": "GET", "url": "/", "body": "x\n" * 5000}})] * 100
    text = report(exchanges)
    assert len(text) < 25_000
    assert "… and 80 more" in text


def test_the_plugin_imports_nothing_of_the_recorder() -> None:
    check = (
        "import sys, mockrec.testing.plugin; "
        "print([m for m in sys.modules if m.startswith(('mockrec.cli', 'mockrec.engine', 'mockrec.formats', 'mockrec.testing.'))])"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "['mockrec.testing.plugin']"
