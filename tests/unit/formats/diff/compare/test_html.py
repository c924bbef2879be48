"""HTML pages by tag and text, also with preformatted parts."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.diff.compare.html import compare_pages
from mockrec.formats.diff.compare.values import ValueComparer

SCRIPT = "<script>var a = 1;\n if (a<b && c>d) {}</script>"


def found(a: str, b: str, values: ValueComparer) -> list[tuple[str, str, Any, Any]]:
    return [
        (str(one.kind), one.path.removeprefix("text "), one.a, one.b)
        for one in compare_pages(a, b, values, "response", "text")
    ]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (f"<html>\n{SCRIPT}\n<p>one two</p>\n</html>\n", f"<html>{SCRIPT}<p>\none\n two</p></html>"),
        ("<p>a</p>\n<pre>x\n y</pre>", "<p>\n a\n</p><pre>x\n y</pre>"),
        ("<PRE>x\n</PRE><b>y</b>\n", "<PRE>x\n</PRE>\n<b>y</b>"),
        ("<style>a{}</style><p>x</p>", "<style>a{}</style>\n\n<p>x</p>\n"),
        ("<p>x</p><script>1 <", "<p>x</p>\n<script>1 <"),
        ("\ufeff<p>x</p>", "<p>x</p>"),
    ],
)
def test_line_breaks_do_not_count_next_to_preformatted_text(a: str, b: str, values: ValueComparer) -> None:
    assert found(a, b, values) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (f"<a>\n{SCRIPT}\n<p>one</p>", f"<a>{SCRIPT}<p>\ntwo</p>", [("value", "(line 4)", "one", "two")]),
        ("<pre>a\n b</pre>", "<pre>a\nb</pre>", [("value", "(line 2)", " b", "b")]),
        ("<textarea>a  b</textarea>", "<textarea>a b</textarea>", [("value", "(line 1)", "a  b", "a b")]),
        (
            "<ul>\n<li>1</li>\n</ul>",
            "<ul>\n<li>1</li>\n<li>2</li>\n</ul>",
            [("added", "(line 3)", None, "<li>2</li>")],
        ),
        ('<p class="x">a</p>', '<p class="y">a</p>', [("value", "(line 1)", '<p class="x">', '<p class="y">')]),
        ('<i style="white-space: pre">a  b</i>', '<i style="white-space: pre">a b</i>', [("value", "(line 1)", None, None)]),
        ('<i style="white-space: nowrap">a  b</i>', '<i style="white-space: nowrap">a b</i>', []),
    ],
)  # fmt: skip
def test_differences_have_their_lines(a: str, b: str, expected: list[Any], values: ValueComparer) -> None:
    differences = found(a, b, values)
    assert [(kind, line) for kind, line, _, _ in differences] == [(kind, line) for kind, line, _, _ in expected]
    for (_, _, one, other), (_, _, one_expected, other_expected) in zip(differences, expected, strict=True):
        assert one_expected in (None, one)
        assert other_expected in (None, other)


@pytest.mark.parametrize("piece", ["<pre>", "<pre ", "<script", "<", "<!--", "\n ", "<p> "])
def test_pages_that_are_hostile_take_time_by_their_size(piece: str, values: ValueComparer) -> None:
    """Each character is read once; with backtracking these inputs would take a minute."""
    assert len(found(piece * 20_000, piece * 20_000 + "x", values)) <= 21
