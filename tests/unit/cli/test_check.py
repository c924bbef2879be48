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
