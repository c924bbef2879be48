"""Patterns of session names, and the keys of folders."""

from __future__ import annotations

import pytest

from mockrec.formats.fleet.patterns import Pattern, is_pattern, keys_of, split_pattern


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jsonl", "a.jsonl", True),
        ("*.jsonl", "x/a.jsonl", False),
        ("*/main/**", "shop/main/7/a.parquet", True),
        ("*/main/**", "shop/main", False),
        ("*/main/**", "shop/dev/main/a.parquet", False),
        ("**/a.parquet", "a.parquet", True),
        ("**/a.parquet", "x/y/a.parquet", True),
        ("**/a.parquet", "x/y/ba.parquet", False),
        ("*/main", "shop/main/7/a.parquet", True),
        ("run-[0-3]/*", "run-2/a", True),
        ("run-[!0-3]/*", "run-2/a", False),
        ("run-?/*", "run-12/a", False),
        ("a.b*", "axb", False),
        ("(*", "(x", True),
        ("[", "[", True),
    ],
)
def test_what_a_pattern_matches(pattern: str, path: str, expected: bool) -> None:
    assert Pattern(pattern).matches(path) is expected


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[z-a\]"):
        Pattern("[z-a]")


@pytest.mark.parametrize(
    ("pattern", "folder", "rest"),
    [
        ("ci/*/x", "ci", "*/x"),
        ("*.jsonl", "", "*.jsonl"),
        ("/*", "/", "*"),
        ("ci/a*b/x", "ci", "a*b/x"),
        ("s3://bucket/ci/**", "s3://bucket/ci", "**"),
    ],
)
def test_the_folder_before_the_first_wildcard(pattern: str, folder: str, rest: str) -> None:
    assert split_pattern(pattern) == (folder, rest)


def test_options_of_a_store_are_no_wildcard() -> None:
    assert not is_pattern("s3://bucket/ci/?region=eu-west-1")
    assert is_pattern("ci/run-?")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("ci/repo=shop/branch=a%2Fb/s.parquet", {"repo": "shop", "branch": "a/b"}),
        ("s3://bucket/run=7/?region=x", {"run": "7"}),
        ("ci/job=3.parquet", {"job": "3"}),
        ("ci/plain/s.jsonl", {}),
        ("ci/a=b=c/s.jsonl", {"a": "b=c"}),
    ],
)
def test_keys_of_folders(name: str, keys: dict[str, str]) -> None:
    assert keys_of(name) == keys
