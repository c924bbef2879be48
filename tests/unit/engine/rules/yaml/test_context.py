"""The environment, files and JSON data of a rule file; descriptions of nodes in problems."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import pytest

from mockrec.engine.rules.yaml.context import LoadContext, Rejected, describe, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, MapNode, ScalarNode, parse

NO_NAME = '"${" begins an environment variable such as ${HOME}; write "$${" for the characters'


def reading_of(env: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None) -> LoadContext:
    def read(path: str) -> bytes:
        if "\0" in path:
            raise ValueError("embedded null byte")
        if path not in (files or {}):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return (files or {})[path]

    return LoadContext("r.yaml", "/folder", env or {}, read)


def node_of(text: str) -> AnyNode:
    return parse(text.encode(), "r.yaml")


def scalar_of(text: str) -> ScalarNode:
    node = node_of(text)
    assert isinstance(node, ScalarNode)
    return node


def messages(context: LoadContext) -> list[str]:
    return [f"{problem.column}: {problem.where}: {problem.message}" for problem in context.problems]


@pytest.mark.parametrize(
    ("text", "value", "secrets"),
    [
        ("plain", "plain", []),
        ("'a ${X} b'", "a one b", ["one"]),
        ("${X}${Y}${X}", "onetwoone", ["one", "two"]),
        ("$${X} $X $", "${X} $X $", []),
        ("$$${X}", "$${X}", []),
        ("${EMPTY}", "", []),
        ("${NESTED}", "${X}", ["${X}"]),
    ],
)
def test_variables(text: str, value: str, secrets: list[str]) -> None:
    context = reading_of({"X": "one", "Y": "two", "EMPTY": "", "NESTED": "${X}"})
    assert context.text(scalar_of(text), "here") == value
    assert list(context.secrets) == secrets


def test_messages_show_the_name_of_a_variable_for_its_value() -> None:
    context = reading_of({"LONG": "s3cret", "SHORT": "one"})
    node = scalar_of("${LONG}${SHORT}")
    context.text(node, "here")
    context.reject(node, "here", "no s3cret, one")
    context.warn(context.place(node, "here"), "a s3crets3cret")
    assert messages(context) == ["1: here: no ${LONG}, one"]
    assert [warning.message for warning in context.warnings] == ["a ${LONG}${LONG}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a ${NOPE}", "1: here: the environment variable NOPE is not set"),
        *[(text, f"1: here: {NO_NAME}") for text in ("'${}'", "'${a.b}'", "'${1}'", "'${X'")],
        ("${BROKEN}", "1: here: holds half of a surrogate pair, which is not a character"),
    ],
)
def test_variables_that_cannot_be_used(text: str, message: str) -> None:
    context = reading_of({"BROKEN": "\udcff"})
    with pytest.raises(Rejected):
        context.text(scalar_of(text), "here")
    assert messages(context) == [message]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "{a: [1, 2.5, true, null, no, '1', ''], 1: x}",
            {"a": [1, 2.5, True, None, "no", "1", ""], "1": "x"},
        ),
        ("[{}, []]", [{}, []]),
        ("'${N}'", "5"),
        ("${N}", "5"),
    ],
)
def test_free_data(text: str, value: Any) -> None:
    assert reading_of({"N": "5"}).plain(node_of(text), "here") == value


def test_every_problem_in_free_data_is_found() -> None:
    context = reading_of()
    with pytest.raises(Rejected):
        context.plain(node_of("{a: [.inf, '${A}'], a: 1, <<: {}, b: .nan, [c]: 1, d: {'<<': 1}, e: ok}"), "")
    assert messages(context) == [
        '21: : the key "a" is given twice, first in line 1',
        "27: : YAML 1.2 has no merge keys (<<); repeat the keys, or alias a whole value",
        "44: : a key must be a word, got a list",
        "6: a[0]: JSON has no .inf",
        "12: a[1]: the environment variable A is not set",
        "38: b: JSON has no .nan",
    ]


def test_files_are_looked_for_in_the_folder_and_once() -> None:
    asked = []

    def probe(path: str) -> None:
        asked.append(path)
        if path.startswith("/abs"):
            raise PermissionError(errno.EACCES, "Permission denied", path)

    context = LoadContext("r.yaml", "/folder/", {}, lambda path: b"never read", probe)
    node = node_of("x")
    assert context.existing("a/b.txt", node, "here") == "/folder/a/b.txt"
    assert context.existing("a/b.txt", node, "here") == "/folder/a/b.txt"
    for _ in range(2):
        with pytest.raises(Rejected):
            context.existing("/abs.txt", node, "here")
    assert asked == ["/folder/a/b.txt", "/abs.txt"]
    assert messages(context) == ['1: here: cannot read the file "/abs.txt": Permission denied'] * 2


def test_without_a_probe_files_are_read() -> None:
    context = reading_of(files={"/folder/x": b"content"})
    assert context.existing("x", node_of("x"), "here") == "/folder/x"
    assert context.content("x", node_of("x"), "here") == b"content"
    for use in (context.existing, context.content):
        for name in ("y", "\0"):
            with pytest.raises(Rejected):
                use(name, node_of("y"), "here")
    assert (
        messages(context)
        == [
            '1: here: cannot read the file "y": No such file or directory',
            '1: here: cannot read the file "\\u0000": embedded null byte',
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *[("[]", "an empty list"), ("[1]", "a list"), ("{}", "an empty mapping"), ("{a: 1}", "a mapping")],
        *[
            ("abc", '"abc"'),
            ("'1'", '"1"'),
            ("1.10", "1.10"),
            ("true", "true"),
            ("~", "~"),
            ("---\n", "nothing"),
        ],
        ("a" * 70, '"' + "a" * 57 + '..."'),
    ],
)
def test_describe(text: str, words: str) -> None:
    assert describe(node_of(text)) == words


def test_quoted_shows_what_is_invisible() -> None:
    assert quoted('a\n"é') == '"a\\n\\"é"'


def test_a_block_scalar_begins_on_the_next_line() -> None:
    context = reading_of()
    node = node_of("a: |\n  x\nb:  x\n")
    assert isinstance(node, MapNode)
    places = [context.place(value, "w") for _, value in node.pairs]
    assert [(place.line, place.column, place.where, place.file) for place in places] == [
        (2, 1, "w", "r.yaml"),
        (3, 5, "w", "r.yaml"),
    ]
