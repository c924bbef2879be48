"""XML by path."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.diff.collect import general_path
from mockrec.formats.diff.compare import xml_tree
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.selectors import parse_selector
from mockrec.formats.schema.vocabulary import SelectorError


def found(a: str, b: str, values: ValueComparer) -> list[tuple[str, str, str, Any, Any]]:
    findings = xml_tree.compare(a, b, values, "response")
    assert findings is not None
    return [
        (str(one.kind), str(one.severity), one.path.removeprefix("response.xml:"), one.a, one.b) for one in findings
    ]


def paths(a: str, b: str, values: ValueComparer) -> list[str]:
    return [f"{kind} {severity} {path}" for kind, severity, path, _, _ in found(a, b, values)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            '<o><i id="1"><p>1</p></i><i id="2"><p>2</p></i></o>',
            '<o><i id="1"><p>1</p></i><i id="2"><p>3</p></i></o>',
            ["value changed /o/i[2]/p/text()"],
        ),
        ('<foo bar="1" quux="true"/>', '<foo quux="true" bar="2"/>', ["value changed /foo/@bar"]),
        ('<o a="1"/>', '<o b="1"/>', ["removed breaking /o/@a", "added changed /o/@b"]),
        ("<o><x/></o>", "<o><x/><y/></o>", ["added changed /o/y"]),
        ("<o><x/><y/></o>", "<o><x/></o>", ["removed breaking /o/y"]),
        ("<o><i>1</i><i>2</i></o>", "<o><i>1</i></o>", ["removed changed /o/i[2]"]),
        ("<a><b/><c/></a>", "<a><c/><b/></a>", ["removed breaking /a/b", "added changed /a/b"]),
        ("<a>one <b>x</b> two</a>", "<a>one <b>x</b> three</a>", ["value changed /a/text()[2]"]),
        ("<a>1</a>", "<a/>", ["removed breaking /a/text()"]),
        ('<?p x?><a/>', '<?p y?><a/>', ["value changed /?p"]),
        ('<s:E xmlns:s="u"><s:B>1</s:B></s:E>', '<e:E xmlns:e="u"><e:B>2</e:B></e:E>', ["value changed /E/B/text()"]),
        ("<a/>", "<b/>", ["removed breaking /a", "added changed /b"]),
        (
            "<r>" + "".join(f"<i><t>t{n}</t><p>{n}</p></i>" for n in range(3)) + "</r>",
            "<r><i><t>new</t><p>9</p></i>" + "".join(f"<i><t>t{n}</t><p>{n + 50}</p></i>" for n in range(3)) + "</r>",
            ["added changed /r/i[1]", *(f"value changed /r/i[{n}]/p/text()" for n in (1, 2, 3))],
        ),
    ],
)  # fmt: skip
def test_paths(a: str, b: str, expected: list[str], values: ValueComparer) -> None:
    assert paths(a, b, values) == expected


def test_values_are_shown_as_xml(values: ValueComparer) -> None:
    a, b = '<o><i n="1">a &amp; b<e/></i></o>', "<o/>"
    assert [one[3] for one in found(a, b, values)] == ['<i n="1">a &amp; b<e/></i>']
    (gone, new) = found('<a xmlns="u"/>', '<a xmlns="v"/>', values)
    assert (gone[3], new[4]) == ("<a/> ({u}a)", "<a/> ({v}a)")
    (long,) = found("<o><i>" + "x" * 9000 + "</i></o>", "<o/>", values)
    assert len(long[3]) < 1100


def test_volatile_values_are_no_difference(values: ValueComparer, strict: ValueComparer) -> None:
    a = '<a id="550e8400-e29b-41d4-a716-446655440000">2026-01-05T09:00:00Z</a>'
    b = '<a id="650e8400-e29b-41d4-a716-446655440001">2026-01-05T09:00:09Z</a>'
    assert paths(a, b, values) == []
    assert paths(a, b, strict) == ["value changed /a/@id", "value changed /a/text()"]


def test_neither_depth_nor_entities_make_work_grow(values: ValueComparer) -> None:
    deep, end = "<a>" * 500, "</a>" * 500
    assert len(paths(f"{deep}x{end}", f"{deep}y{end}", values)) == 1
    nested = "".join([f"<a x='{level}'>" for level in range(501)]) + "</a>" * 501
    assert xml_tree.compare(nested, nested.replace("='", "='1"), values, "response") is None
    bomb = '<!DOCTYPE a [<!ENTITY e "eeeeeeee">]><a>&e;</a>'
    assert xml_tree.compare(bomb, "<a/>", values, "response") is None
    assert xml_tree.compare("<a>" + "<b/>" * 200_001 + "</a>", "<a/>", values, "response") is None
    assert xml_tree.compare("no xml", "<a/>", values, "response") is None


@pytest.mark.parametrize(
    ("selector", "a", "b", "hidden"),
    [
        ("xml:/o/i[2]/p", "<o><i/><i><p>1</p></i></o>", "<o><i/><i><p>2</p></i></o>", True),
        ("xml:/o/i[1]/p", "<o><i/><i><p>1</p></i></o>", "<o><i/><i><p>2</p></i></o>", False),
        ("xml:/o/i[*]", "<o><i/><i><p>1</p></i></o>", "<o><i/><i><p>2</p></i></o>", True),
        ("xml:/o/i[1]", "<o><i>1</i></o>", "<o><i>2</i></o>", True),
        ("response.xml://p", "<o><i><p>1</p></i></o>", "<o><i><p>2</p></i></o>", True),
        ("request.xml://p", "<o><i><p>1</p></i></o>", "<o><i><p>2</p></i></o>", False),
        ("xml:/o/*/text()", "<o><i>1</i></o>", "<o><i>2</i></o>", True),
        ("xml://@at", '<o><i at="1"/></o>', '<o><i at="2"/></o>', True),
        ("xml://@at", '<o><i of="1"/></o>', '<o><i of="2"/></o>', False),
        ("name:AT", '<o><i at="1"/></o>', '<o><i at="2"/></o>', True),
        ("body", "<o>1</o>", "<o>2</o>", True),
        ("json:$.o", "<o>1</o>", "<o>2</o>", False),
    ],
)
def test_selectors(selector: str, a: str, b: str, hidden: bool, values: ValueComparer) -> None:
    findings = xml_tree.compare(a, b, values, "response")
    assert findings is not None
    assert [parse_selector(selector).matches(finding.subject) for finding in findings] == [hidden]


def test_the_paths_of_a_report_are_selectors(values: ValueComparer) -> None:
    a, b = '<o x="1"><i>1</i><i>2</i><!-- --></o>', '<o x="2"><i>1</i><i>3</i></o>'
    findings = xml_tree.compare(a, b, values, "response")
    assert findings is not None
    for finding in findings:
        assert parse_selector(finding.path).matches(finding.subject)
        assert parse_selector(general_path(finding.path)).matches(finding.subject)


@pytest.mark.parametrize("path", ["o", "/o[", "/o[x]", "/o/", "/"])
def test_invalid_paths(path: str) -> None:
    with pytest.raises(SelectorError, match="expected a path such as /order/item"):
        parse_selector(f"xml:{path}")


def test_a_path_is_built_once_for_a_container(values: ValueComparer, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Any] = []
    monkeypatch.setattr(xml_tree, "path_of", lambda location: steps.extend(location) or "".join(map(str, location)))
    a, b = (
        "<a>" * 400 + "".join([f'<b v="{number + more}"/>' for number in range(500)]) + "</a>" * 400
        for more in (0, 1000)
    )
    assert len(paths(a, b, values)) == 500
    assert len(steps) < 2_000
