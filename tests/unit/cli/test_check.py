"""`mockrec check`: a rule file with all its problems, and the schema for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Check = Callable[..., Any]

GOOD = """\
version: 1
rules:
  - when: {path: /hello}
    then: {reply: {body: hello}}
"""
NEVER = """\
  - when: {path: /bye}
    then: close
    times: 0
"""


@pytest.fixture
def check(mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Checks a rule file with that content."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str) -> Any:
        (tmp_path / "rules.yaml").write_text(text)
        return mockrec("check", "rules.yaml", *arguments)

    return run


def test_a_good_file(check: Check) -> None:
    done = check(GOOD)
    assert (done.code, done.out, done.err) == (0, "", "rules.yaml: 1 rule, no problems\n")


def test_quiet_says_nothing(check: Check) -> None:
    done = check(GOOD + NEVER, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_warning_is_no_failure(check: Check) -> None:
    done = check(GOOD + NEVER)
    assert done.code == 0
    warning, summary = done.err.splitlines()
    assert warning.startswith("mockrec: warning: rules.yaml:5:")
    assert summary == "rules.yaml: 2 rules, 1 warning"


def test_every_problem_stands_at_its_place_in_the_form_that_editors_read(check: Check) -> None:
    done = check(GOOD.replace("path", "pth").replace("body", "bdy"))
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("rules.yaml:3:12: ")
    assert second.startswith("rules.yaml:4:20: ")


def test_problems_are_errors_and_never_muted(check: Check) -> None:
    assert check("version: 1\nruls: []\n", "-q").err.startswith("rules.yaml:2:1: ")


def test_control_characters_are_escaped(mockrec: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m.yaml"
    for text, code in ((GOOD + NEVER, 0), ("version: 2", 2), (None, 2)):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        done = mockrec("check", path)
        assert done.code == code
        assert "\x1b" not in done.err
        assert r"\x1b[31m.yaml" in done.err


def test_handlers_are_not_imported(check: Check, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("raise SystemExit('imported')\n")
    done = check("version: 1\nrules:\n  - then: {python: 'handlers.py:answer'}\n")
    assert (done.code, done.err) == (0, "rules.yaml: 1 rule, no problems\n")
    assert "handlers" not in sys.modules


def test_a_missing_file(mockrec: Callable[..., Any]) -> None:
    done = mockrec("check", "nowhere.yaml")
    assert done.code == 2
    assert done.err == "mockrec: cannot read the rule file nowhere.yaml: No such file or directory\n"


def test_nothing_to_check(mockrec: Callable[..., Any]) -> None:
    done = mockrec("check")
    assert (done.code, done.out) == (2, "")
    assert "give the rule file to check, or --schema" in done.err


def test_the_schema_is_data(mockrec: Callable[..., Any]) -> None:
    done = mockrec("check", "--schema")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["properties"]["rules"]


def test_the_schema_and_a_file(check: Check) -> None:
    done = check(GOOD, "--schema")
    assert done.code == 0
    assert json.loads(done.out)
    assert done.err == "rules.yaml: 1 rule, no problems\n"


# ── for machines ───────────────────────────────────────────────────────────────────────────────────

BAD = "rules:\n  - {when: {path: /a}, then: response}\n  - {when: {path: '/{id}'}, then: close, tyop: 1}\n"


def test_problems_as_json(check: Check) -> None:
    done = check(BAD, "--as", "json")
    found = json.loads(done.out)
    assert (done.code, done.err, found["ok"]) == (2, "", False)
    assert [(one["line"], one["level"]) for one in found["problems"]] == [(2, "error"), (3, "error")]
    assert json.loads(check(GOOD, "--as", "json").out) == {
        "ok": True, "files": [{"file": "rules.yaml", "rules": 1}], "problems": [],
    }  # fmt: skip


def test_problems_as_annotations(check: Check) -> None:
    done = check(BAD, "--as", "github")
    assert done.code == 2
    assert done.lines[0].startswith("::error file=rules.yaml,line=2,col=")
    assert 'unknown step "response"' in done.lines[0]
    assert check(GOOD, "--as", "github").out == ""
    many = "rules:\n" + "  - {then: response}\n" * 50
    assert check(many, "--as", "github").lines[-1] == "::error title=mockrec check::and 41 more"


def test_problems_as_sarif(check: Check) -> None:
    done = check(GOOD.replace("/hello", '"/{id}"'), "--as", "sarif")
    (run,) = json.loads(done.out)["runs"]
    (result,) = run["results"]
    assert (done.code, result["level"]) == (0, "warning")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "rules.yaml"}, "region": {"startLine": 3, "startColumn": 18},
    }  # fmt: skip


def test_several_files(check: Check, mockrec: Callable[..., Any], tmp_path: Path) -> None:
    check(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    done = mockrec("check", "bad.yaml", "rules.yaml")
    assert done.code == 2
    assert "bad.yaml:2:" in done.err and "rules.yaml: 1 rule, no problems" in done.err
    assert json.loads(mockrec("check", "bad.yaml", "missing.yaml", "--as", "json").out)["problems"][-1]["message"] == (
        "cannot read the rule file missing.yaml: No such file or directory"
    )
