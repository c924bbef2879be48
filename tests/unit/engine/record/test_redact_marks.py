"""Marks, and what an exchange is known to hold."""

from __future__ import annotations

from mockrec.engine.record.redact_marks import MARK, Known, Marks


def test_equal_values_have_equal_marks_under_one_key() -> None:
    marks = Marks(b"one")
    assert MARK.fullmatch(marks.mark("secret"))
    assert marks.mark("secret") == marks.mark("secret") == Marks(b"one").mark("secret")
    assert marks.mark("secret") != marks.mark("Secret")
    assert marks.mark("secret") != Marks(b"two").mark("secret")


def test_the_key_has_a_name() -> None:
    named = Marks.named("a key")
    assert named.key_id == Marks.named("a key").key_id != Marks.named("another").key_id
    assert len(named.key_id) == 8
    assert named.mark("x") == Marks.named("a key").mark("x")


def test_many_values() -> None:
    marks = Marks(b"k")
    first = marks.mark("0")
    assert len({marks.mark(str(number)) for number in range(10_000)}) > 9_990
    assert marks.mark("0") == first


def test_any_text() -> None:
    marks = Marks(b"k")
    for value in ("ä€😀", "\ud800", "\udcff", "\x00", "x" * 100_000):
        assert MARK.fullmatch(marks.mark(value))


def test_short_values_are_not_looked_for() -> None:
    known = Known()
    known.add(("12345",), "m")
    assert not known.marks
    known.add(("123456",), "m")
    assert known.marks == {"123456": "m"}


def test_forms() -> None:
    known = Known()
    known.add(('a "b" c', "seen so"), "m")
    assert {'a "b" c', 'a \\"b\\" c', "a%20%22b%22%20c", "a+%22b%22+c", "seen so"} == set(known.marks)
    assert known.forms[0] == (b"a%20%22b%22%20c", b"m")
    assert b'a \\\\\\"b\\\\\\" c' in known.needles


def test_joined() -> None:
    first, second, nothing = Known(), Known(), Known()
    first.add(("first-value",), "1")
    second.add(("second-value",), "2")
    assert first.joined(nothing) is first
    assert nothing.joined(first) is first
    assert first.joined(first) is first
    assert first.joined(second).marks == {"first-value": "1", "second-value": "2"}
    assert "second-value" not in first.marks
