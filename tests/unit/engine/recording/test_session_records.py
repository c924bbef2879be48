"""The first and the last record of a session."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.engine.config import RecordSettings
from mockrec.engine.recording.event_log import wanted_types
from mockrec.engine.recording.session_records import session_ended, session_started
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.formats.schema.events import DEFAULT_EVENTS, check_record
from mockrec.formats.schema.version import mockrec_version

LISTENING = SimpleNamespace(url="http://127.0.0.1:8000", host="127.0.0.1", port=8000)
RULES = """version: 1
rules:
  - id: greet
    when: {method: GET, path: /hello}
    then: {reply: {body: hi}}
    times: twice
  - then: close
"""
CI_VARIABLES = (
    "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "TF_BUILD", "JENKINS_URL", "TRAVIS",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def settings(rule_files: Any, command: tuple[str, ...] | None = None, bodies: str = "decoded") -> Any:
    return SimpleNamespace(loaded=rule_files.load(RULES), record=RecordSettings(bodies=bodies), command=command)


def started(rule_files: Any, **more: Any) -> dict[str, Any]:
    record = session_started(settings(rule_files, **more), LISTENING, wanted_types("default"))
    assert check_record(record) == []
    return record


def test_the_first_record_says_what_is_recorded(rule_files: Any) -> None:
    record = started(rule_files, bodies="both")
    assert record["type"] == "session-started"
    assert record["schemaVersion"] == 1
    assert record["mockrecVersion"] == mockrec_version()
    assert record["listen"] == {"url": "http://127.0.0.1:8000", "host": "127.0.0.1", "port": 8000}
    assert record["events"] == list(DEFAULT_EVENTS)
    assert record["bodies"] == "both"
    assert record["rulesSha256"] == rule_files.load(RULES).rule_file.sha256
    assert [(rule["id"], rule["line"]) for rule in record["rules"]] == [("greet", 3), ("rule-2", 7)]
    assert record["rules"][0]["explanation"] == "GET /hello → reply 200, twice"
    assert {"command", "ci"}.isdisjoint(record)


def test_each_session_has_its_own_id(rule_files: Any) -> None:
    assert started(rule_files)["sessionId"] < started(rule_files)["sessionId"]


def test_the_command_is_kept(rule_files: Any) -> None:
    assert started(rule_files, command=("pytest", "-x"))["command"] == ["pytest", "-x"]


@pytest.mark.parametrize(
    ("variables", "ci"),
    [
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SERVER_URL": "https://github.test",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_RUN_ID": "7",
                "GITHUB_SHA": "abc",
            },
            {"provider": "github", "runUrl": "https://github.test/a/b/actions/runs/7", "commit": "abc"},
        ),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b"}, {"provider": "github"}),
        (
            {"GITLAB_CI": "true", "CI_PIPELINE_URL": "https://g.test/1", "CI_COMMIT_SHA": "abc"},
            {"provider": "gitlab", "runUrl": "https://g.test/1", "commit": "abc"},
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_BUILD_URL": "https://c.test/1", "CIRCLE_SHA1": "abc"},
            {"provider": "circleci", "runUrl": "https://c.test/1", "commit": "abc"},
        ),
        (
            {"BUILDKITE": "true", "BUILDKITE_BUILD_URL": "https://b.test/1", "BUILDKITE_COMMIT": "abc"},
            {"provider": "buildkite", "runUrl": "https://b.test/1", "commit": "abc"},
        ),
        ({"TF_BUILD": "True", "BUILD_SOURCEVERSION": "abc"}, {"provider": "azure", "commit": "abc"}),
        (
            {"JENKINS_URL": "https://j.test", "BUILD_URL": "https://j.test/1", "GIT_COMMIT": "abc"},
            {"provider": "jenkins", "runUrl": "https://j.test/1", "commit": "abc"},
        ),
        (
            {"TRAVIS": "true", "TRAVIS_BUILD_WEB_URL": "https://t.test/1", "TRAVIS_COMMIT": "abc"},
            {"provider": "travis", "runUrl": "https://t.test/1", "commit": "abc"},
        ),
        ({"GITLAB_CI": ""}, None),
        ({"CI": "true", "GITHUB_SHA": "abc"}, None),
    ],
)
def test_the_ci_run_is_recorded(
    rule_files: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], ci: dict[str, str] | None
) -> None:
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_SHA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started(rule_files).get("ci") == ci


def test_the_last_record_says_how_it_ended(rule_files: Any) -> None:
    rules = RuleSet(rule_files.load(RULES).rule_file.rules, lambda handler: lambda request: True)
    rules.rules[0].used = 1
    counts = Counter({"request": 2})
    record = session_ended(SimpleNamespace(reason="signal", exit_code=3), counts, rules, truncated=1)
    assert check_record(record) == []
    assert (record["type"], record["reason"], record["exitCode"]) == ("session-ended", "signal", 3)
    assert record["counts"] == {"request": 2, "session-ended": 1}
    assert record["truncatedBodies"] == 1
    assert record["redactions"] == 0
    assert record["rules"] == [
        {"id": "greet", "used": 1, "pending": True},
        {"id": "rule-2", "used": 0, "pending": True},
    ]
    assert counts == {"request": 2}
