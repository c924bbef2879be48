"""Reports for programs: JSON, Markdown, JUnit XML, annotations; with hostile recorded text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from mockrec.formats.diff.report import github as report_github
from mockrec.formats.diff.report import json as report_json
from mockrec.formats.diff.report import junit as report_junit
from mockrec.formats.diff.report import markdown as report_markdown
from mockrec.formats.diff.report.entries import headline, remarks
from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]

NASTY = "a|b `c` <img src=x> *d* ]]> & \x00\x1b[31m\x85\u202e\r\n::error::e %25 \"q\" 'r' \U0001f600"
"""Text that would break each of the formats, or a terminal."""


@pytest.fixture
def nasty(make: Any, compare: Compare) -> Result:
    """Differences with hostile text in every part."""
    a = make.exchange(url=f"http://x.test/{NASTY}", body={NASTY: NASTY, "list": [1]}, headers={"x-a": NASTY})
    b = make.exchange(url=f"http://x.test/{NASTY}", body={"list": [2]}, headers={"x-a": "b"}, status=500)
    return compare([a], [b, make.exchange(url="http://y.test/")], ignore=["cookie:none"])


@pytest.fixture
def many(make: Any, compare: Compare) -> Result:
    """More differences than any report lists."""
    names = [f"field{number}" for number in range(3000)]
    a = [make.exchange(body={name: f"{name} {'x' * 100}" for name in names})]
    b = [make.exchange(body={name: f"{name} {'y' * 100}" for name in names})]
    return compare(a, b)


@pytest.fixture
def none(make: Any, compare: Compare) -> Result:
    return compare([make.exchange()], [make.exchange()])


def test_json(nasty: Result) -> None:
    document = json.loads(report_json.report(nasty))
    assert set(document) == {
        "schemaVersion", "a", "b", "summary", "differences", "ignored", "unusedRules", "onlyInA", "onlyInB",
    }  # fmt: skip
    status = next(one for one in document["differences"] if one["kind"] == "status")
    assert (status["a"], status["b"], status["severity"], status["pairedBy"]) == (200, 500, "breaking", "exact")
    assert set(status["exchange"]) == {"method", "url", "a", "b"}
    removed = next(one for one in document["differences"] if one["kind"] == "removed")
    assert (removed["a"], "b" in removed) == (NASTY, False)
    (only,) = document["onlyInB"]
    assert (only["method"], only["url"], only["status"]) == ("GET", "http://y.test/", 200)
    assert document["unusedRules"] == ["cookie:none"]
    assert document["summary"]["exchanges"] == {"a": 1, "b": 2}


def test_json_keeps_lone_surrogates_and_big_numbers(make: Any, compare: Compare) -> None:
    a = make.exchange(body="x", headers={"content-type": "application/json"})
    b = make.exchange(body="x", headers={"content-type": "application/json"})
    a[-1]["body"] = {"size": 9, "text": '{"n": 123456789012345678901234567890, "s": "\\ud800"}'}
    b[-1]["body"] = {"size": 9, "text": '{"n": 0.1, "s": "x"}'}
    first, second = json.loads(report_json.report(compare([a], [b])))["differences"]
    assert (first["a"], first["b"]) == (123456789012345678901234567890, 0.1)
    assert second["a"] == "\ud800"


def test_markdown_stays_below_its_bound(many: Result, nasty: Result, none: Result) -> None:
    text = report_markdown.report(many)
    assert 50_000 < len(text.encode()) < 64 * 1024
    shown, left = text.count("| changed |"), int(re.search(r"… and (\d+) more", text)[1])  # type: ignore[index]
    assert shown + left == 3000
    assert "no difference in 1 pair" in report_markdown.report(none)


def test_markdown_cannot_be_broken_out_of(nasty: Result) -> None:
    text = report_markdown.report(nasty)
    rows = [line for line in text.splitlines() if line.startswith(("| breaking", "| changed"))]
    assert len(rows) == len(nasty.differences) + 1
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 6, row
    assert not re.search("[\x00-\x09\x0b-\x1f\x85\u202e]", text)


def test_markdown_is_bounded_in_names_too(make: Any, compare: Compare) -> None:
    a = [make.exchange(url=f"http://x.test/{'p' * 5000}{number}q", body="a") for number in range(300)]
    b = [make.exchange(url=f"http://x.test/{'p' * 5000}{number}q", body="b") for number in range(300)]
    rules = [f"header:{'h' * 3000}{number}" for number in range(200)]
    assert len(report_markdown.report(compare(a, b, ignore=rules)).encode()) < 64 * 1024


JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"testcase", "system-out"}),
    "testcase": ({"classname", "name", "time"}, {"failure"}),
    "failure": ({"message", "type"}, set()),
    "system-out": (set(), set()),
}
"""Elements with the attributes and children that the schema of GitLab and Jenkins allows."""


def _check(element: ElementTree.Element) -> None:
    attributes, children = JUNIT[element.tag]
    assert set(element.attrib) == attributes
    for child in element:
        assert child.tag in children
        _check(child)


def test_junit(nasty: Result, none: Result, many: Result) -> None:
    root = ElementTree.fromstring(report_junit.report(nasty))
    _check(root)
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    assert "status" in (suite.find("testcase/failure").text or "")  # type: ignore[union-attr]
    _check(ElementTree.fromstring(report_junit.report(many)))
    passed = ElementTree.fromstring(report_junit.report(none))
    assert [case.get("name") for case in passed.iter("testcase")] == ["GET api.test/things"]
    assert not list(passed.iter("failure"))


def read_as_gitlab(text: str) -> dict[str, str]:
    """Return what GitLab shows of a report: the status of each case, under the name by which it compares two pipelines.

    Its parser goes through `testsuites`, any `testsuite` in it and their `testcase`s; of these it takes the first of
    `failure`, `error` and `skipped`, `time` as a number, and `classname` and `name`, which together are the key.
    """
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    found: dict[str, str] = {}
    for suite in root:
        assert suite.tag == "testsuite" and suite.get("name")
        cases = suite.findall("testcase")
        # The schema (Jenkins' junit-10.xsd) has the output after the cases.
        assert [child.tag for child in suite] == ["testcase"] * len(cases) + ["system-out"]
        failed = 0
        for case in cases:
            outcome = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "success")
            failed += outcome == "failure"
            key = f"{case.attrib['classname']} {case.attrib['name']}"
            assert key not in found, "two cases are one for GitLab"
            assert float(case.attrib["time"]) >= 0.0
            found[key] = outcome
        for element in (suite, root):
            numbers = [int(element.attrib[name]) for name in ("tests", "failures", "errors")]
            assert numbers == [len(cases), failed, 0]
    return found


def test_junit_as_gitlab_reads_it(nasty: Result, many: Result, none: Result, make: Any, compare: Compare) -> None:
    assert set(read_as_gitlab(report_junit.report(nasty)).values()) == {"failure"}
    assert list(read_as_gitlab(report_junit.report(many)).values()) == ["failure"]
    assert read_as_gitlab(report_junit.report(none)) == {"mockrec.diff GET api.test/things": "success"}
    assert read_as_gitlab(report_junit.report(compare([], []))) == {}
    long = [make.exchange(url=f"http://x.test{'/path' * 120}/{letter}") for letter in "xyz"]
    assert list(read_as_gitlab(report_junit.report(compare(long, long[:2]))).values()).count("failure") == 1
    assert len(read_as_gitlab(report_junit.report(compare(long, long)))) == 3


def test_differences_of_severity_info_pass(make: Any, compare: Compare) -> None:
    result = compare([make.exchange(statusMessage="OK")], [make.exchange(statusMessage="Fine")])
    root = ElementTree.fromstring(report_junit.report(result))
    assert root.get("failures") == "0"
    assert report_github.report(result).startswith("::notice ")
    assert headline(result) == "no difference in 1 pair; 1 info"


def test_annotations(nasty: Result, many: Result, none: Result) -> None:
    lines = report_github.report(nasty).split("\n")[:-1]
    assert len(lines) == len(nasty.differences) + 1
    for line in lines:
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*", line), line
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", line)
    differences = report_github.report(many).splitlines()
    assert len(differences) == 10
    assert "and 2991 more" in differences[-1]
    assert report_github.report(none) == ""


def test_left_out_differences_are_counted(make: Any, compare: Compare) -> None:
    a, b = make.exchange(body={"n": 1, "m": 1}), make.exchange(body={"n": 2, "m": 2})
    result = compare([a], [b], ignore=["json:$.n"], noise=[make.exchange(body={"n": 1, "m": 7})], baseline=["old"])
    assert remarks(result) == [
        "1 ignored by rules",
        "1 taken for noise",
        "1 of the baseline not met any more",
    ]
