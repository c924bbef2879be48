"""Placeholders in names of outputs: values of CI services, safe on every file system, and the way back."""

from __future__ import annotations

import pytest

from mockrec.formats.fleet.patterns import keys_of
from mockrec.formats.sessions.output_names import OutputNameError, as_folder_name, filled

NOW = "2026-11-30T10:15:02Z"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_REF_NAME": "feature/x",
    "GITHUB_RUN_ID": "77",
    "GITHUB_JOB": "unit tests",
    "GITHUB_SHA": "abc",
}


@pytest.mark.parametrize(
    ("name", "env", "expected"),
    [
        ("s.jsonl", {}, "s.jsonl"),
        ("ci/{repo}/{branch}/{run}/{job}/", GITHUB, "ci/acme%2Fshop/feature%2Fx/77/unit%20tests/"),
        ("{date}-{time}.jsonl", {}, "2026-11-30-101502.jsonl"),
        ("{{a}}.jsonl", {}, "{a}.jsonl"),
        ("{scope}.jsonl", {"MOCKREC_SCOPE": "tests/a.py::t[x]"}, "tests%2Fa.py%3A%3At%5Bx%5D.jsonl"),
        ("{worker}.jsonl", {"PYTEST_XDIST_WORKER": "gw3"}, "gw3.jsonl"),
        ("{scope}/s", {"MOCKREC_SCOPE": ".."}, "%2E%2E/s"),
        (
            "{repo}-{branch}-{job}",
            {"JENKINS_URL": "x", "GIT_URL": "https://h/a/shop.git", "GIT_BRANCH": "main", "JOB_NAME": "j"},
            "shop-main-j",
        ),
        ("{branch}", {"TF_BUILD": "1", "BUILD_SOURCEBRANCH": "refs/heads/a/b"}, "a%2Fb"),
        ("{run}-{shard}", {"GITLAB_CI": "1", "CI_PIPELINE_ID": "5", "CI_NODE_INDEX": "2"}, "5-2"),
        ("{job}", {"CIRCLECI": "1", "CIRCLE_JOB": "t"}, "t"),
        ("{job}", {"BUILDKITE": "1", "BUILDKITE_LABEL": "t"}, "t"),
        ("{job}", {"TRAVIS": "1", "TRAVIS_JOB_NUMBER": "1.2"}, "1.2"),
    ],
)
def test_names(name: str, env: dict[str, str], expected: str) -> None:
    assert filled(name, env, NOW) == expected


def test_the_scope_stays_if_the_recorder_has_scopes_of_its_own() -> None:
    name = "{branch}/{scope}.jsonl"
    assert filled(name, {**GITHUB, "MOCKREC_SCOPE": "x"}, NOW, keeps=("scope",)) == "feature%2Fx/{scope}.jsonl"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{repo}/s.jsonl", "{repo} is not known here; there are {date}, {time}, {worker}"),
        ("{rpo}/s.jsonl", "{rpo} is no placeholder; there are {date}, {time}, {worker}"),
        ("{scope}.jsonl", "{scope} is not known here without --control or MOCKREC_SCOPE; there are {date}"),
        ("{}/s.jsonl", "{} is no placeholder"),
        ("a}b", "a single }"),
        ("a{b", "a single {"),
    ],
)
def test_a_missing_one_is_an_error_that_lists_what_there_is(name: str, words: str) -> None:
    with pytest.raises(OutputNameError) as raised:
        filled(name, {"JEST_WORKER_ID": "1"}, NOW)
    assert words in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("value", ["main", "feature/x", "a=b", "a%2Fb", "ü?#[x]", "a b+c"])
@pytest.mark.parametrize("start", ["ci/", "s3://bucket/"])
def test_keys_give_the_value_back(start: str, value: str) -> None:
    name = filled(f"{start}branch={{scope}}/s.parquet", {"MOCKREC_SCOPE": value}, NOW)
    assert keys_of(name) == {"branch": value}


def test_long_values_stay_different() -> None:
    one, other = as_folder_name("ü" * 100 + "a"), as_folder_name("ü" * 100 + "b")
    assert one != other
    assert len(one) <= 120
