"""The report for CI servers: one test case for each endpoint, in the form that GitLab, Jenkins and GitHub Actions
read."""

from __future__ import annotations

from xml.etree import ElementTree

from mockrec.formats.diff.model.finding import Severity
from mockrec.formats.diff.report.entries import Group, escaped, groups, headline, one_line
from mockrec.formats.diff.result import Result

_MOST = 5_000
"""Test cases; passed ones beyond them are left out."""
_MOST_LINES = 200


def report(result: Result, fail_on: Severity = Severity.changed) -> str:
    """Return an XML document. An endpoint has failed if it has a difference of severity `fail_on` or worse, like the
    exit code."""
    found = {group.endpoint: group for group in groups(result, apart=True)}
    failing = (Severity.breaking,) if fail_on is Severity.breaking else (Severity.breaking, Severity.changed)
    failed = {endpoint: group for endpoint, group in found.items() if group.severity in failing}
    passed = [endpoint for endpoint in result.endpoints if endpoint not in failed]
    passed = passed[: max(0, _MOST - len(failed))]
    # The schema that GitLab and Jenkins use has no `skipped` at the top, and requires a name and a class of each case.
    # Differences that are only counted have no endpoint, so they fail a test case of their own.
    unlisted = result.failed(fail_on) and not failed
    failures = len(failed) + unlisted
    numbers = {"tests": str(failures + len(passed)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites", {"name": "mockrec diff", **numbers, "time": "0"})
    name = one_line(f"{result.a.name} → {result.b.name}", 500)
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **numbers, "skipped": "0", "time": "0"})
    named: set[str] = set()
    for endpoint, group in failed.items():
        case = _case(suite, str(endpoint), named)
        message = f"{len(group.entries)} × different: {group.entries[0].sentence}"
        failure = ElementTree.SubElement(
            case, "failure", {"message": one_line(message, 300), "type": str(group.severity)}
        )
        failure.text = _text(group)
    if unlisted:
        message = f"{result.omitted} differences are counted but not listed"
        ElementTree.SubElement(_case(suite, "differences", named), "failure", {"message": message, "type": fail_on})
    for endpoint in passed:
        _case(suite, str(endpoint), named)
    ElementTree.SubElement(suite, "system-out").text = escaped(headline(result))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, endpoint: str, named: set[str]) -> ElementTree.Element:
    """Add a test case. `named`: names that are used already, because GitLab merges cases with the same name."""
    name = one_line(endpoint, 500)
    if name in named:
        name = f"{name} ({len(named) + 1})"
    named.add(name)
    return ElementTree.SubElement(suite, "testcase", {"classname": "mockrec.diff", "name": name, "time": "0"})


def _text(group: Group) -> str:
    lines = [f"{entry.severity} {entry.sentence} [{entry.fingerprint}]" for entry in group.entries[:_MOST_LINES]]
    if len(group.entries) > _MOST_LINES:
        lines.append(f"… and {len(group.entries) - _MOST_LINES} more")
    return "\n".join(one_line(line, 1500) for line in lines)
