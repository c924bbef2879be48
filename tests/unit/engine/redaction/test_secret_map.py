"""Known secrets, and the forms in which they are found elsewhere."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from mockrec.engine.redaction.secret_map import MOST_CHARACTERS, MOST_VALUES, SecretMap


def known(*values: str) -> SecretMap:
    one = SecretMap()
    for value in values:
        one.add((value,), "MARK")
    return one


def test_short_values_are_not_looked_for() -> None:
    one = known("12345")
    assert not one
    one.add(("123456",), "m")
    assert one.placeholders == {"123456": "m"}


def test_a_mark_is_not_replaced() -> None:
    assert not known("redacted")


VALUE = 'hünter/2 "x" +ß&$'
FORMS = [
    VALUE,
    json.dumps(VALUE)[1:-1],
    json.dumps(VALUE, ensure_ascii=False)[1:-1],
    json.dumps(VALUE)[1:-1].replace("/", "\\/"),
    json.dumps(VALUE)[1:-1].replace('\\"', "\\u0022"),
    "".join(f"\\u{ord(char):04X}" for char in VALUE),
    json.dumps(json.dumps(VALUE))[3:-3],
    quote(VALUE, safe=""),
    quote(VALUE, safe="").lower(),
    quote(VALUE, safe="/&"),
    quote(quote(VALUE, safe=""), safe=""),
    quote(VALUE, safe=" ").replace(" ", "+"),
    "".join(f"%{byte:02x}" for byte in VALUE.encode()),
    html.escape(VALUE),
    "".join(f"&#{ord(char)};" for char in VALUE),
    "".join(f"&#x{ord(char):X};" for char in VALUE),
    VALUE.replace('"', "&quot;"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("before", "after"), [("", ""), ('{"a": "', '"}'), ("x\\n%41", "%5A&amp;é")])
def test_forms(form: str, before: str, after: str) -> None:
    one = known(VALUE)
    data = (before + form + after).encode()
    assert one.occurs(data)
    assert one.replaced(data) == ((before + "MARK" + after).encode(), 1)


@pytest.mark.parametrize(
    "form", ["hunter2-a", "%68unter2-a", "hunter2%2da", "\\u0068unter2-a", "&#104;unter2-a", "&#x68;unter2&#45;a"]
)
def test_forms_of_plain_values(form: str) -> None:
    one = known("hunter2-a")
    assert one.replaced(f"x {form} y".encode()) == (b"x MARK y", 1)
    assert one.occurs_in_line(json.dumps({"a": f"x {form} y"}).encode())


@pytest.mark.parametrize("before", range(5))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64(before: int, after: int, encode: type[base64.b64encode]) -> None:
    value = "hunter2~?>\xff-hunter"
    data = encode(b"\x01" * before + value.encode() + b"\x02" * after)
    redacted, count = known(value).replaced(data)
    assert count == 1
    left = redacted.replace(b"MARK", b"")
    assert len(left) <= len(data) - len(value.encode()) * 8 // 6 + 3


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf_16(coding: str) -> None:
    assert known("hunter2").replaced(b"a\0" + "hunter2".encode(coding) + b"b\0") == (b"a\0MARKb\0", 1)


def test_joined() -> None:
    first, second, nothing = SecretMap(), SecretMap(), SecretMap()
    first.add(("first-value",), "1")
    second.add(("second-value",), "2")
    assert first.joined(nothing) is first
    assert nothing.joined(first) is first
    assert first.joined(first) is first
    assert first.joined(second).placeholders == {"first-value": "1", "second-value": "2"}
    assert "second-value" not in first.placeholders


def test_of_one_thing_not_too_much_is_remembered() -> None:
    one = known(*(f"value-{number}" for number in range(MOST_VALUES + 5)))
    assert len(one.placeholders) == MOST_VALUES
    assert known("x" * (MOST_CHARACTERS + 1), "a" * MOST_CHARACTERS, "value-1").placeholders.keys() == {
        "a" * MOST_CHARACTERS
    }


def test_the_oldest_are_forgotten() -> None:
    one = SecretMap()
    for number in range(3 * MOST_VALUES):
        one = one.joined(known(f"value-{number}"))
    assert MOST_VALUES // 3 < len(one.placeholders) <= MOST_VALUES
    assert one.occurs(b"is value-%d." % (3 * MOST_VALUES - 1))
    assert not one.occurs(b"is value-0.")


def test_many_are_found_in_one_pass() -> None:
    values = [f"secret-{number:06}" for number in range(4000)]
    data = ",".join(values).encode()
    redacted, count = known(*values).replaced(data)
    assert count == 4000
    assert redacted == b",".join([b"MARK"] * 4000)
