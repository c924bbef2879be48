"""Placeholders of secrets, and the key that they depend on."""

from __future__ import annotations

from mockrec.engine.redaction.placeholders import PLACEHOLDER, Placeholders


def test_equal_values_have_equal_marks_under_one_key() -> None:
    placeholders = Placeholders(b"one")
    assert PLACEHOLDER.fullmatch(placeholders.of("secret"))
    assert placeholders.of("secret") == placeholders.of("secret") == Placeholders(b"one").of("secret")
    assert placeholders.of("secret") != placeholders.of("Secret")
    assert placeholders.of("secret") != Placeholders(b"two").of("secret")


def test_the_key_has_a_name() -> None:
    named = Placeholders.from_passphrase("a key")
    assert (
        named.key_id == Placeholders.from_passphrase("a key").key_id != Placeholders.from_passphrase("another").key_id
    )
    assert len(named.key_id) == 8
    assert named.of("x") == Placeholders.from_passphrase("a key").of("x")


def test_many_values() -> None:
    placeholders = Placeholders(b"k")
    first = placeholders.of("0")
    assert len({placeholders.of(str(number)) for number in range(10_000)}) > 9_990
    assert placeholders.of("0") == first


def test_any_text() -> None:
    placeholders = Placeholders(b"k")
    for value in ("ä€😀", "\ud800", "\udcff", "\x00", "x" * 100_000):
        assert PLACEHOLDER.fullmatch(placeholders.of(value))
