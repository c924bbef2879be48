"""The time of redaction is linear in the size of the input, for any input of a client, a server or a file."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from time import process_time

import pytest

from mockrec.engine.redaction.lines import LineRedactor
from mockrec.engine.redaction.names import PAIRS, WORDS
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope
from mockrec.formats.files.jsonl import encode_lines

SMALL, FACTOR = 4 * 1024, 8
FORM = "application/x-www-form-urlencoded"
KINDS = ("text/plain", FORM, "application/json", "multipart/form-data; boundary=B", "text/html", "")


@cache
def redactor() -> Redactor:
    """Return the one redactor for all tests: compiling its patterns takes longer than most of what is measured."""
    return Redactor(Policy(), Placeholders(b"key"))


def assert_linear(work: Callable[[int], Callable[[], object]]) -> None:
    """`work` returns the call to measure at a size. With quadratic time it would take 64 times as long, not 8 times."""
    times = []
    for size in (SMALL, SMALL * FACTOR):
        act = work(size)
        gc.disable()  # the garbage of other tests must not be collected meanwhile
        try:
            begun = process_time()
            act()
            times.append(process_time() - begun)
        finally:
            gc.enable()
    assert times[1] < times[0] * FACTOR * 3 + 0.5, times


def filled(unit: str, size: int) -> bytes:
    """Return the unit repeated up to a size; a `#` in it becomes another number each time."""
    text = unit * (size // len(unit) + 1) if "#" not in unit else ""
    if not text:
        text = "".join(unit.replace("#", f"{number:07}") for number in range(size // (len(unit) + 6) + 1))
    return text.encode("latin-1")[:size]


UNITS = [
    '<input name="csrf" value="#">', '<input "', "<input 'a\"", "<input name=token ", "<meta x", '<input "<input ', "<input a=", "<inpu",
    "<input name=csrf\n", "<button ='\"name=token>",
    "password=", "password=&", "password=;", "password=#&", "?token=#&", "sid='a", "password=\\'", "a=b;password=#;",
    "Authorization: Bearer ", "Authorization: Bearer #\n", "Authorization: Basic #", "Cookie: a=#; b=#\n", "x-api-key: ", "token: [",
    '"token":[', '{"token":[', '"token":["', '"token":"#",', '{"token":{"token":"#"},', '\\"token\\":\\"', '\\"token\\":\\"#\\",', '\\\\"pwd\\":',
    '--B\r\nContent-Disposition: form-data; name="otp"\r\n\r\n', 'name="otp"\r\n', 'name="otp"\r\n\r\n#\r\n--',
    "cookie x: expected ", 'header token: expected "a" ', "header token: expected\n", 'cookie a "#" ',
    "://", "://a@", "://a:#@h/ ", "://@@", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----#-----END PRIVATE KEY-----",
    "eyJ", "eyJaaaaa.", "eyJhbGciOi.eyJ#.aaaaaaaa ", "AKIA", "ghp_#aaaaaaaaaaaaaaa ", "sk-", "SG.aaaaaaaaaaaaaaaa.",
    "\0sid=\xff", "\0sid=abc\x01", "\0?sid=ab\xff", '\0sid="ab\xff', "\0token: ab\xff", "\0://abc\x01@", "\0-----BEGIN PRIVATE KEY-----",
    "password", "password ", 'password"', "password[", "password1", "%70%61", "pass\\u0077ord=#&", "p%61ssword=#&", "%25",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_bodies(unit: str) -> None:
    assert_linear(lambda size: lambda: redactor().body(filled(unit, size), "text/plain", "request", DetachedScope()))


@pytest.mark.parametrize("name", [*WORDS, *(f"{first}_{second}" for first, second in PAIRS)])
def test_names(name: str) -> None:
    for unit in (f"{name}=", f"{name}: ", f'"{name}":"#",', f'"{name}":['):
        assert_linear(lambda size, unit=unit: lambda: redactor().body(filled(unit, size), "", "", DetachedScope()))  # type: ignore[misc]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["password=", "password=#&", '"token":[', 'name="otp"\r\n\r\n#\r\n--'])
def test_content_types(kind: str, unit: str) -> None:
    assert_linear(lambda size: lambda: redactor().body(filled(unit, size), kind, "response", DetachedScope()))


@pytest.mark.parametrize("unit", UNITS)
def test_bodies_in_pieces(unit: str) -> None:
    def work(size: int) -> Callable[[], object]:
        data, hold = filled(unit, size), redactor().hold()
        pieces = [data[at : at + 256] for at in range(0, size, 256)]
        return lambda: [hold.feed(piece) for piece in pieces]

    assert_linear(work)


@pytest.mark.parametrize("unit", ["password=#&", "Authorization: Bearer ", '"token":['])
def test_pieces_of_one_byte(unit: str) -> None:
    def work(size: int) -> Callable[[], object]:
        data, hold = filled(unit, size // 4), redactor().hold()
        return lambda: [hold.feed(data[at : at + 1]) for at in range(len(data))]

    assert_linear(work)


@pytest.mark.parametrize("place", ["url", "headers", "eventData", "rawHeaders"])
def test_records(place: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = filled("token=#&", size).decode()
        record: dict[str, object] = {"type": "request", "url": f"http://a.test/?{text}"}
        if place == "headers":
            record = {"type": "request", "headers": {"cookie": text.replace("&", "; ")}}
        elif place == "rawHeaders":
            record = {"type": "request", "rawHeaders": [["X-Token", part] for part in text.split("&")]}
        elif place == "eventData":
            record = {
                "type": "rule-event",
                "eventData": {f"token{number}": part for number, part in enumerate(text.split("&"))},
            }
        return lambda: redactor().record(record, DetachedScope())

    assert_linear(work)


def test_messages_with_a_secret_each() -> None:
    def work(size: int) -> Callable[[], object]:
        one, owner = redactor(), DetachedScope()

        def act() -> None:
            for number in range(size // 8):
                one.body(b'{"token":"value-%07d"}' % number, "", "request", owner)

        return act

    assert_linear(work)


def test_lines_of_a_session() -> None:
    def work(size: int) -> Callable[[], object]:
        one = LineRedactor({})
        lines = [
            encode_lines(({"type": "response", "id": "x", "body": {"size": 9, "text": f"token=value-{number:07}"}},))[
                :-1
            ]
            for number in range(size // 64)
        ]
        return lambda: [one.line(line) for line in lines]

    assert_linear(work)
