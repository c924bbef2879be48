"""What is said of a function that failed."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from mockrec.engine.usercode.failure import MOST_TEXT, UserError, described, frames_of, name_of, text_of


def plain() -> None:
    """A function as users have them."""


class Handler:
    """An object that can be called."""

    def __call__(self) -> None: ...

    def method(self) -> None: ...


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def inner() -> Any:
        return function()

    return inner


FIRST = plain.__code__.co_firstlineno


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (plain, f"test_failure.py:{FIRST}: plain()"),
        (functools.partial(plain), f"test_failure.py:{FIRST}: plain()"),
        (decorated(plain), f"test_failure.py:{FIRST}: plain()"),
        (Handler(), f"test_failure.py:{Handler.__call__.__code__.co_firstlineno}: Handler()"),
        (Handler().method, f"test_failure.py:{Handler.method.__code__.co_firstlineno}: method()"),
        (len, "len()"),
        (dict, "dict()"),
    ],
)
def test_a_function_is_named_by_where_it_begins(function: Any, name: str) -> None:
    assert name_of(function) == name


class Hostile(BaseException):
    """One whose text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Hostile(), "Hostile: <its text cannot be shown: SystemExit>"),
        (ValueError("x" * 1_000_000), f"ValueError: {'x' * MOST_TEXT}… (1000000 characters)"),
    ],
    ids=["plain", "empty", "hostile", "long"],
)
def test_the_text_of_any_exception(error: BaseException, text: str) -> None:
    assert text_of(error) == text
    record = described(raised(error))
    assert record["name"] == type(error).__name__
    assert len(record["stack"]) < 2 * MOST_TEXT
    assert "test_failure.py" in record["stack"]


def test_only_the_users_frames_are_shown() -> None:
    def fails() -> None:
        functools.reduce(lambda one, other: one / other, [1, 0])

    try:
        fails()
    except ZeroDivisionError as error:
        frames = UserError(fails, error).failure.frames
    assert [frame.split(": ")[0].split(" in ")[1] for frame in frames] == [
        "test_only_the_users_frames_are_shown",
        "fails",
        "<lambda>",
    ]


def test_a_deep_recursion_is_told_by_its_ends() -> None:
    def deeper() -> None:
        deeper()

    with pytest.raises(RecursionError) as caught:
        deeper()
    assert len(frames_of(caught.value)) == 8
    assert len(described(caught.value)["stack"]) < 2 * MOST_TEXT
