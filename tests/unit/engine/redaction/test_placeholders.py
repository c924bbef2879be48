"""Marks."""

from __future__ import annotations

from mockrec.engine.redaction.placeholders import MARK, Placeholders


def test_equal_values_have_equal_marks_under_one_key() -> None:
    marks = Placeholders(b"one")
    assert MARK.fullmatch(marks.mark("secret"))
    assert marks.mark("secret") == marks.mark("secret") == Placeholders(b"one").mark("secret")
    assert marks.mark("secret") != marks.mark("Secret")
    assert marks.mark("secret") != Placeholders(b"two").mark("secret")


def test_the_key_has_a_name() -> None:
    named = Placeholders.named("a key")
    assert named.key_id == Placeholders.named("a key").key_id != Placeholders.named("another").key_id
    assert len(named.key_id) == 8
    assert named.mark("x") == Placeholders.named("a key").mark("x")


def test_many_values() -> None:
    marks = Placeholders(b"k")
    first = marks.mark("0")
    assert len({marks.mark(str(number)) for number in range(10_000)}) > 9_990
    assert marks.mark("0") == first


def test_any_text() -> None:
    marks = Placeholders(b"k")
    for value in ("ä€😀", "\ud800", "\udcff", "\x00", "x" * 100_000):
        assert MARK.fullmatch(marks.mark(value))
