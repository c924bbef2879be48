"""Promises of docs/diff.md about matching and noise: a row for each, with equal and unequal values."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mockrec.cli import diff_text
from mockrec.formats.diff import collect
from mockrec.formats.diff.baseline import read_baseline
from mockrec.formats.diff.collect import varied
from mockrec.formats.diff.compare.timing import rank_sum
from mockrec.formats.diff.model.exchange import Endpoint
from mockrec.formats.diff.model.finding import DifferenceKind, Severity
from mockrec.formats.diff.report import json as report_json
from mockrec.formats.diff.report import junit as report_junit
from mockrec.formats.diff.report.entries import groups
from mockrec.formats.diff.result import Result
from mockrec.formats.diff.selectors import parse_place
from mockrec.formats.sessions.endpoints import former_template, template

Compare = Callable[..., Result]


def body(make: Any, content: str, media: str, **headers: str) -> list[list[dict[str, Any]]]:
    return [make.exchange(body=content, headers={"content-type": media, **headers})]


@pytest.mark.parametrize(
    ("name", "a", "b", "equal"),
    [
        ("vary", "Accept, Origin", "origin,accept", True),
        ("vary", "Accept", "Accept, Origin", False),
        ("cache-control", "no-cache, max-age=0", "Max-Age=0,no-cache", True),
        ("cache-control", "max-age=1", "max-age=0", False),
        ("accept", "text/html;q=0.5, */*", "*/*,text/html; q=0.50", True),
        ("accept-language", "de, en;q=0.5", "de, en;q=0.4", False),
        ("connection", "a, b", "b", True),
        ("allow", "GET, POST", "POST, GET", True),
        ("allow", "GET, POST", "get, POST", False),
        ("strict-transport-security", "max-age=5; includeSubDomains", "includesubdomains;max-age=5", True),
        ("content-type", "Text/Plain; Charset=UTF-8", 'text/plain;charset="utf-8"', True),
        ("content-type", "text/plain; v=A", "text/plain; v=a", False),
        ("content-disposition", 'Attachment; filename="a, b"', "attachment;filename=a, b", True),
        ("content-disposition", "attachment; filename=A", "attachment; filename=a", False),
        ("x-other", "a, b", "b, a", False),
    ],
)
def test_header_fields(make: Any, compare: Compare, name: str, a: str, b: str, equal: bool) -> None:
    result = compare(*([make.exchange(body="x", headers={name: value})] for value in (a, b)))
    assert result.same is equal


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ('{"a": 1}', '\ufeff{"a": 1.0}', True),
        ('{"a": 0.1}', '{"a": 0.10000000000000001}', False),
        ('{"a": 1e2}', '{"a": 100}', True),
        ('{"a": "507f1f77bcf86cd799439011"}', '{"a": "507f191e810c19729de860ea"}', True),
        ('{"a": "507f1f77bcf86cd799439011"}', '{"a": "507f191e810c19729de860e"}', False),
        ('{"a": "000000000000000000000001"}', '{"a": "000000000000000000000002"}', False),
        ('{"a": "0ujtsYcgvSTl8PAuAdqWYSMnLOv"}', '{"a": "0ujzPyRiIAffKhBux4PvQdDqMHY"}', True),
        ('{"a": "V1StGXR8_Z5jdHi6B-myT"}', '{"a": "FyGhK8_d3Jq-Z1sWmXb5T"}', True),
        ('{"a": "V1StGXR8_Z5jdHi6B-myT"}', '{"a": "internationalisations"}', False),
        ('{"a": "4442587FB7D0A2F9"}', '{"a": "N1K7PQ3VWXYZ2ABC"}', True),
        ('{"a": [1, [2.0, 3]]}', '{"a": [1, [2, 3.0]]}', True),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', False),
    ],
)
def test_json(make: Any, compare: Compare, a: str, b: str, equal: bool) -> None:
    assert compare(*(body(make, text, "application/json") for text in (a, b))).same is equal


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ('<a x="1" y="2"><b/></a>', "<?xml version='1.0'?>\n<a y='2' x='1'>\n  <b></b>\n</a>", True),
        ('<p:a xmlns:p="u">t &amp; &#65;</p:a>', '<q:a xmlns:q="u"><![CDATA[t & A]]></q:a>', True),
        ("<a><!-- one --></a>", "<a/>", True),
        ("<a>one </a>", "<a>one</a>", False),
        ("<a><b/><c/></a>", "<a><c/><b/></a>", False),
        ('<a xmlns="u"/>', '<a xmlns="v"/>', False),
        ("<a><Id>4442587FB7D0A2F9</Id></a>", "<a><Id>N1K7PQ3VWXYZ2ABC</Id> </a>", True),
        ('<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "<a>x</a>", False),
        ("<a>", "<a >", False),
    ],
)
def test_xml(make: Any, compare: Compare, a: str, b: str, equal: bool) -> None:
    assert compare(*(body(make, text, "application/soap+xml") for text in (a, b))).same is equal


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("<div><p>Hi you</p></div>", "<div>\n  <p>Hi\n you</p>\n</div>\n", True),
        ("<b>a</b> c", "<b>a</b>c", False),
        ("<pre>a\n b</pre>", "<pre>a\nb</pre>", False),
        ('<input name=csrf value="aB3dE5fG7hI9jK1lM3">', '<input name=csrf value="zZ3dE5fG7hI9jK1lM4">', True),
        ("<p>one</p>", "<p>two</p>", False),
    ],
)
def test_html(make: Any, compare: Compare, a: str, b: str, equal: bool) -> None:
    assert compare(*(body(make, text, "text/html") for text in (a, b))).same is equal


@pytest.mark.parametrize(
    ("place", "a", "b", "equal"),
    [
        ("", [3, 1, 2, 2], [2, 3, 2, 1], True),
        ("", [1, 2, 2], [1, 1, 2], False),
        ("", [{"x": [1, 2]}, {"y": 1}], [{"y": 1}, {"x": [1, 2]}], True),
        ("", [{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 1}], True),
        ("$.tags", [1, 2], [2, 1], True),
        ("$.other", [1, 2], [2, 1], False),
        ("$..tags", [1, 2], [2, 1], True),
        ("$", [1, 2], [2, 1], False),
    ],
)
def test_arrays_in_any_order(make: Any, compare: Compare, place: str, a: Any, b: Any, equal: bool) -> None:
    any_order = (parse_place(place) if place else lambda location: True,)
    result = compare(*([make.exchange(body={"tags": value})] for value in (a, b)), any_order=any_order)
    assert result.same is equal


def test_a_multiset_names_what_is_gone_and_new(make: Any, compare: Compare, differences: Any) -> None:
    a, b = ([make.exchange(body=value)] for value in ([1, 2, 2], [2, 1, 3]))
    found = differences(compare(a, b, any_order=(lambda location: True,)))
    assert found == [("removed", "changed", "response.json:$[2]"), ("added", "changed", "response.json:$[2]")]


def everywhere(make: Any, build: str) -> list[Any]:
    return [
        make.exchange(url=f"http://x.test/{name}", body="x", headers={"x-build": build})
        for name in ("a", "b", "c", "d", "e")
    ]


def test_one_change_everywhere_is_one_finding(make: Any, compare: Compare, tmp_path: Path) -> None:
    a, b = everywhere(make, "1"), everywhere(make, "2")
    result = compare(a, b)
    (group,) = groups(result)
    assert len(group.entries) == 1
    assert (group.entries[0].occurrences, len(group.others)) == (5, 4)
    report = report_json.report(result)
    (difference,) = json.loads(report)["differences"]
    assert [one["endpoint"] for one in difference["endpoints"]] == [f"GET x.test/{name}" for name in "abcde"]
    known = tmp_path / "known.json"
    known.write_text(report)
    assert compare(a, b, baseline=read_baseline(str(known))).same


def test_a_random_field_is_one_line(make: Any, compare: Compare, tmp_path: Path) -> None:
    def session(word: str) -> list[Any]:
        return [make.exchange(url=f"http://x.test/u/{n}", body={"n": f"{word}-{n}"}) for n in range(15)]

    result = compare(session("one"), session("two"))
    (group,) = groups(result)
    (entry,) = group.entries
    assert (entry.occurrences, entry.values) == (15, 15)
    known = tmp_path / "known.json"
    known.write_text(report_json.report(result))
    assert compare(session("one"), session("three"), baseline=read_baseline(str(known))).same


def test_numbers_are_shown_as_numbers(make: Any, compare: Compare) -> None:
    result = compare(*([make.exchange(body=[value])] for value in (0.1, 0.2)))
    assert '"a": 0.1,' in report_json.report(result)
    a, b = (body(make, f'{{"v": {digits}}}', "application/json") for digits in ("0.1", "0.10000000000000001"))
    result = compare(a, b)
    assert '"b": 0.10000000000000001,' in report_json.report(result)
    assert groups(result)[0].entries[0].sentence == "response.json:$.v 0.1 → 0.10000000000000001"


def outcomes(make: Any) -> dict[str, tuple[list[Any], list[Any]]]:
    """Pairs of sessions, each with one kind of difference."""

    def calls(*answers: Any, path: str = "a") -> list[Any]:
        return [make.exchange(url=f"http://x.test/{path}", body=answer) for answer in answers]

    other_endpoint = calls("same", path="b")
    return {
        "nothing": (calls("x"), calls("x")),
        "info": ([make.exchange(statusMessage="OK")], [make.exchange(statusMessage="Fine")]),
        "changed": (calls("x") + other_endpoint, calls("y") + other_endpoint),
        "breaking": (calls({"a": 1}), calls({"a": "1"})),
        "both": (calls({"a": 1}) + calls("x", path="c"), calls({"a": "1"}) + calls("y", path="c")),
        "only in A": (calls("x", "x") + other_endpoint, calls("x") + other_endpoint),
        "only in B": (calls("x"), calls("x", "x")),
        "endpoint only in A": (calls("x") + other_endpoint, calls("x")),
        "endpoint only in B": (calls("x"), calls("x") + other_endpoint),
        "elsewhere": (calls("x", path="d"), calls("x", path="e")),
        "everywhere": (everywhere(make, "1"), everywhere(make, "2")),
        "empty": ([], []),
    }


@pytest.mark.parametrize("severity", [Severity.changed, Severity.breaking])
@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("nothing", ""),
        ("info", ""),
        ("changed", "changed"),
        ("breaking", "breaking"),
        ("both", "breaking"),
        ("only in A", "breaking"),
        ("only in B", "changed"),
        ("endpoint only in A", "breaking"),
        ("endpoint only in B", "changed"),
        ("elsewhere", "breaking"),
        ("everywhere", "changed"),
        ("empty", ""),
    ],
)
def test_junit_the_text_and_the_exit_code_agree(
    make: Any, compare: Compare, name: str, worst: str, severity: Severity
) -> None:
    result = compare(*outcomes(make)[name])
    fails = worst == "breaking" or (worst == "changed" and severity is Severity.changed)
    assert result.failed(severity) is fails
    root = ElementTree.fromstring(report_junit.report(result, severity))
    assert (root.get("failures") != "0") is fails
    assert len(root.findall(".//failure")) == int(root.get("failures", ""))
    text = "\n".join(diff_text.report(result, fail_on=severity, width=100))
    assert ("no difference" in text) is (not worst)
    assert ("exit code 0 (--fail-on breaking)" in text) is (bool(worst) and not fails)


def test_unlisted_differences_fail_too(make: Any, compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "_MOST", 0)
    result = compare(*outcomes(make)["changed"])
    assert (result.differences, result.omitted) == ([], 1)
    for severity, failures in ((Severity.changed, "1"), (Severity.breaking, "0")):
        root = ElementTree.fromstring(report_junit.report(result, severity))
        assert root.get("failures") == failures
        assert result.failed(severity) is (failures == "1")


def test_words(make: Any, compare: Compare) -> None:
    result = compare([make.exchange(status=201)], [make.exchange(status=200)])
    assert groups(result)[0].entries[0].sentence == "status 201 → 200"


@pytest.mark.parametrize(
    "name", ["SHA-256", "sha-512", "v2", "mp3", "UTF-16", "ISO-8859-1", "SHA256withRSA2048", "error-404", "base64"]
)
def test_words_with_digits_stay_words(name: str) -> None:
    assert template(f"/x/{name}") == f"/x/{name}"


@pytest.mark.parametrize(
    "name", ["1042", "507f1f77bcf86cd799439011", "V1StGXR8Z5jdHi6BmyT8x", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]
)
def test_ids_are_ids(name: str) -> None:
    assert template(f"/x/{name}") == "/x/{id}"
    assert template("/x/order-1042") == "/x/order-{id}"


def test_baselines_under_former_names_still_match(make: Any, compare: Compare) -> None:
    assert former_template("/hash/SHA-256") == "/hash/SHA-{id}"
    a, b = ([make.exchange(url="http://x.test/hash/SHA-256", body={"v": value})] for value in (1, 2))
    former = Endpoint("GET", "x.test", "/hash/SHA-{id}")
    assert compare(a, b, baseline=[varied(DifferenceKind.value, former, "response.json:$.v")]).same
    assert not compare(a, b, baseline=[varied(DifferenceKind.value, former, "response.json:$.w")]).same


def test_rank_sums_with_ties() -> None:
    a, b = array("d", [1.0] * 5 + [2.0] * 5), array("d", [2.0] * 10)
    # By hand: U is 25 above its mean; the variance is 98.7 with the correction, 175 (1.8898) without it.
    assert rank_sum(a, b) == pytest.approx(2.5166, abs=1e-4)
    assert rank_sum(array("d", [1.0] * 10), array("d", [1.0] * 10)) == 0.0
