"""Names of the cassettes of scopes: safe on every file system, and different for different scopes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockrec.formats.files.scope_names import scope_file, scope_name

SCOPES = st.text(max_size=200) | st.sampled_from(
    ["a", "A", "con", "nul.txt", "a.", ".a", "-a", "a-0123456789abcdef", ""]
)


@pytest.mark.parametrize("scope", ["checkout", "test_pay", "orders.v2", "a" * 100, "worker-1"])
def test_a_plain_scope_is_its_own_name(scope: str) -> None:
    assert scope_name(scope) == scope


def test_a_test_id_is_recognised_in_its_name() -> None:
    name = scope_name("tests/test_shop.py::test_pay[eur]")
    assert re.fullmatch(r"tests-test_shop.py-test_pay-eur-[0-9a-f]{16}", name)
    assert scope_file("cassettes/{scope}.jsonl", "a") == "cassettes/a.jsonl"


@pytest.mark.parametrize(
    "scope",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "con",
        "COM1",
        "nul.jsonl",
        "a\0b",
        "a:b",
        "a" * 300,
        "ü",
        "-rf",
        "a ",
        "\ud800",
    ],
)
def test_no_scope_leaves_its_folder_or_names_a_device(scope: str) -> None:
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]{0,99}-[0-9a-f]{16}", scope_name(scope))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Pay", "pay"), ("a/b", "a:b"), ("a/b", scope_name("a/b")), ("a" * 101, "a" * 102), ("é", "e\u0301"), ("a", "a ")],
)
def test_scopes_that_look_alike_have_names_of_their_own(one: str, other: str) -> None:
    assert scope_name(one).lower() != scope_name(other).lower()


@given(SCOPES, SCOPES)
def test_different_scopes_never_share_a_file(one: str, other: str) -> None:
    name = scope_name(one)
    assert (name == scope_name(other)) == (one == other)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9._-]*", name) and len(name) <= 100 and name[-1] not in ". "
