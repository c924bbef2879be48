"""Hostile and damaged cassettes: refused or read in part, with the line, and no tag is ever executed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.imported import yaml_values
from mockrec.formats.schema.errors import SessionError

Read = Callable[[bytes | str], Any]
GOOD = "- {request: {method: GET, uri: 'http://a.test/'}, response: {status: {code: 200}, body: ok}}\n"


def nested(levels: int, inner: str = "") -> str:
    return "[" * levels + inner + "]" * levels


LAUGHS = "interactions:\n- &a [" + ",".join(["x"] * 100) + "]\n"
LAUGHS += "".join(
    f"- &{after} [{','.join([f'*{before}'] * 100)}]\n" for before, after in zip("abcd", "bcde", strict=True)
)
CHAIN = "interactions:\n- &a0 " + nested(60) + "\n"
CHAIN += "".join(f"- &a{number + 1} {nested(60, f'*a{number}')}\n" for number in range(20))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LAUGHS, r"^old:4: refused: its aliases \(such as \*b\) make it more than 10 times as large as it is"),
        ("interactions:\n- &a " + "x" * 100_000 + "\n" + "- *a\n" * 1000, r"^old:\d+: refused: its aliases"),
        (CHAIN, r"^old:3: refused: nested more than 100 levels deep"),
        ("interactions:\n- " + nested(5_000), r"^old:2: "),
        ("interactions:\n" + "".join(f"{' ' * level}-\n" for level in range(200)), "nested more than 100 levels deep"),
        ("interactions:\n- &a\n  request: *a\n", r"^old:3: the alias \*a names nothing that is complete before it"),
        ("interactions:\n" + GOOD + "- request: {a: ]\n", r"^old:3: column 16: no YAML: "),
        ("interactions:\n- request: \x01\n", "no YAML after this line: control characters are not allowed"),
        (b"interactions:\n- request: \xff\xfe\n", "no YAML after this line"),
        ("interactions: 5\n", r"^old:1: expected a list of interactions, found '5'$"),
        ("interactions: {a: b}\n", r"^old:1: expected a list of interactions, found a mapping$"),
        (
            "interactions: !!python/name:os.system\n",
            r"^old:1: expected a list of interactions, found .*os\.system is refused",
        ),
        ("interactions: []\nversion: 9\n", "a cassette of version 9, this mockrec reads 1 and 2"),
        ('{"version": 1, "interactions": [{"request"', r"^old:1: column 43: no JSON"),
        ('{"version": 1, "interactions": ' + nested(100_000) + "}", r"^old:1: column \d+: no JSON"),
    ],
    ids=lambda value: ascii(value[:30]) if isinstance(value, (str, bytes)) else None,
)
def test_what_is_refused(read: Read, data: bytes | str, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        read(data)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/object/new:subprocess.Popen",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:vcr.request.Other",
        "!ruby/object:Gem::Installer",
    ],
)
def test_an_object_of_a_program_is_never_made(read: Read, tag: str) -> None:
    body = (
        f"- {{request: {{method: GET, uri: 'http://a.test/', body: {tag} [x]}}, response: {{status: {{code: 200}}}}}}\n"
    )
    made = read("interactions:\n" + body + GOOD)
    assert len(made.all("response")) == 1
    (problem,) = made.problems
    assert problem.startswith(f"interactions[0] (line 2) is left out: line 2: the tag {tag} is refused: ")


def test_a_tag_on_an_unused_value_is_reported_too(read: Read) -> None:
    made = read("interactions:\n" + GOOD.replace("body: ok", "other: !!python/name:os.system x"))
    assert made.problems == [
        "line 2: the tag !!python/name:os.system is refused: a cassette is read as data, no object is made of it"
    ]
    assert len(made.all("response")) == 1


def test_invalid_base64(read: Read) -> None:
    made = read("interactions:\n" + GOOD.replace("body: ok", "body: {string: !!binary '@@'}") + GOOD)
    assert made.problems == [
        "interactions[0] (line 2) is left out: line 2: its !!binary is no base64 (Only base64 data is allowed)"
    ]


def test_a_file_that_ends_in_the_middle_is_read_up_to_there(read: Read) -> None:
    made = read("interactions:\n" + GOOD + '- request:\n    body: "abc')
    assert len(made.all("response")) == 1
    assert made.torn == "the file ends in the middle of a value (line 4)"
    assert made.all("session-ended") == []


def test_one_value_is_bounded(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_values, "MAX_BETWEEN", 1024 * 1024)
    with pytest.raises(SessionError, match=r"^old:3: a value that is longer than 1 MiB is refused"):
        read("interactions:\n- request:\n    body: '" + "x" * 3_000_000)


def test_an_alias_costs_nothing_as_long_as_it_repeats_little(read: Read) -> None:
    """PyYAML writes lists that are the same object like this."""
    more = GOOD.replace("status:", "headers: {Accept: *id001}, status:")
    first = GOOD.replace("status:", "headers: {Accept: &id001 ['*/*']}, status:")
    assert len(read("interactions:\n" + first + more * 300).all("response")) == 301


def test_a_bomb_stays_as_it_is(read: Read) -> None:
    import brotli

    bomb = brotli.compress(bytes(80_000_000))
    answer = f"headers: {{Content-Encoding: br}}, body: !!binary {base64.b64encode(bomb).decode()}"
    made = read("interactions:\n" + GOOD.replace("body: ok", answer))
    assert made.one("response")["body"]["undecodable"] is True
    assert made.one("response")["body"]["size"] == len(bomb)
