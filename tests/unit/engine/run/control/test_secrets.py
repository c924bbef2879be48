"""A secret in an expression equals the placeholder that stands for it."""

from __future__ import annotations

import time

import pytest

from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.run.control.secrets import is_redacted, marking
from mockrec.formats.query.checks import Interval, RegexCheck, Text

PLACEHOLDER = Placeholders(b"key").of
ONE, TWO = PLACEHOLDER("secret-one"), PLACEHOLDER("secret-two")


@pytest.mark.parametrize(
    ("text", "recorded", "equal"),
    [
        ("secret-one", ONE, True),
        ("secret-two", ONE, False),
        ("Bearer secret-one", f"Bearer {ONE}", True),
        ("bearer secret-one", f"Bearer {ONE}", False),
        ("a=secret-one; b=secret-two", f"a={ONE}; b={TWO}", True),
        ("a=secret-two; b=secret-one", f"a={ONE}; b={TWO}", False),
        ("a=secret-one; b=secret-two; c", f"a={ONE}; b={TWO}; c", True),
        ("secret-onesecret-two", f"{ONE}{TWO}", False),  # where one ends is not known
        ("", ONE, False),
        ("plain", "plain", True),
        ("plain", "plainer", False),
    ],
)
def test_equal_with_placeholders(text: str, recorded: str, equal: bool) -> None:
    assert (is_redacted(text, recorded, PLACEHOLDER) if ONE[:9] in recorded else text == recorded) == equal


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        (Text("==", "Bearer secret-one"), True),
        (Text("==", f"Bearer {ONE}"), True),
        (Text("==", "Bearer secret"), False),
        (Text("contains", "secret-one"), True),
        (Text("contains", "secret-o"), False),
        (Text("startswith", "Bearer secret-one"), True),
        (Text("endswith", "secret-one"), True),
        (Text("<", "Bearer a"), False),
        (RegexCheck("secret"), False),
        (Interval(1, 2), False),
    ],
)
def test_checks(check: Text | RegexCheck | Interval, holds: bool) -> None:
    assert marking(PLACEHOLDER)((check,))(f"Bearer {ONE}") is holds


def test_a_value_that_is_no_text() -> None:
    assert not marking(PLACEHOLDER)((Text("==", "1"),))(1)


def test_the_work_grows_with_the_length_only() -> None:
    recorded = "a" * 30_000 + ONE + "a" * 30_000
    before = time.process_time()
    for _ in range(20):
        assert not is_redacted("a" * 90_000, recorded, PLACEHOLDER)
    assert time.process_time() - before < 5
