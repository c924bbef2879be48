"""What others write may be nested in itself without end. No reader calls itself for that: each says what is wrong, or
reads it. 20,000 levels are twenty times what Python's stack takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli import __main__ as program
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.replay.to_rules.yaml_text import yaml_lines
from mockrec.engine.steps.websocket import message_fits
from mockrec.formats.content import codings as content
from mockrec.formats.schema.body import Body
from mockrec.formats.text.json import parse

DEEP = 20_000
LISTS = "[" * DEEP + "]" * DEEP
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; its exit code and what it said on stderr. A defect is raised."""
    defects: list[BaseException] = []
    monkeypatch.setattr(program, "report_defect", defects.append)

    def command(*arguments: object) -> tuple[int, str]:
        code = program.main([str(argument) for argument in arguments])
        for defect in defects:
            raise defect
        return code, capfd.readouterr().err

    return command


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., str]:
    """A session in which `body` was sent to a server, which answered with it."""

    def write(body: str, kind: str = "application/json") -> str:
        head = {
            "id": "x-1",
            "method": "POST",
            "url": "http://a.test/p",
            "path": "/p",
            "headers": {"content-type": kind},
        }
        message = {"size": len(body.encode()), "text": body}
        records = [
            {"type": "session-started", "seq": 0, "schemaVersion": 1},
            {"type": "request", "seq": 1, **head, "body": message},
            {"type": "response", "seq": 2, "id": "x-1", "statusCode": 200, "headers": head["headers"], "body": message},
            {"type": "session-ended", "seq": 3},
        ]
        path = tmp_path / "session.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return str(path)

    return write


def rule(when: str = "path: /x", then: str = "body: x") -> str:
    return f"version: 1\nrules:\n  - when: {{{when}}}\n    then: {{reply: {{{then}}}}}\n"


RULES = {
    "YAML in brackets": rule(f"path: /x, json: {LISTS}"),
    "YAML in braces": rule("path: /x, json: " + "{a: " * DEEP + "1" + "}" * DEEP),
    "YAML in lines": "- " * DEEP + "a",
    "template: brackets": rule(then=f"template: '{{{{ {LISTS} }}}}'"),
    "template: parentheses": rule(then="template: '{{ " + "(" * DEEP + "1" + ")" * DEEP + " }}'"),
    "template: not": rule(then="template: '{{ " + "not " * DEEP + "1 }}'"),
    "template: sums": rule(then="template: '{{ 1" + "+1" * DEEP + " }}'"),
    "template: blocks": rule(then="template: '" + "{% if 1 %}" * DEEP + "{% endif %}" * DEEP + "'"),
    "template: filters": rule(then="template: '{{ 1" + "|string" * DEEP + " }}'"),
    "JSONPath: filters": rule("path: /x, jsonPath: {'$" + "[?@" * DEEP + "]" * DEEP + "': 1}"),
    "JSONPath: parentheses": rule("path: /x, jsonPath: {'$[?" + "(" * DEEP + "@.a" + ")" * DEEP + "]': 1}"),
    "JSONPath: not": rule("path: /x, jsonPath: {'$[?" + "!" * DEEP + "@.a]': 1}"),
    "JSONPath: steps": rule("path: /x, jsonPath: {'$" + "[0]" * DEEP + "': 1}"),
    "regular expression": rule("pathRegex: '" + "(" * DEEP + "a" + ")" * DEEP + "'"),
}


@pytest.mark.parametrize("name", RULES)
def test_rule_files(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "rules.yaml").write_text(RULES[name])
    code, said = run("check", tmp_path / "rules.yaml")
    assert code == 0 or (code == 2 and "rules.yaml:" in said), said


def test_schemas(run: Run, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"properties":{"a":' * DEEP + "{}" + "}}" * DEEP)
    (tmp_path / "rules.yaml").write_text(rule("path: /x, jsonSchema: schema.json"))
    assert run("check", tmp_path / "rules.yaml")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        (("filter", "SESSION", "-w", "(" * DEEP + "status == 200" + ")" * DEEP, "--count"), {2}),
        (("filter", "SESSION", "-w", "not " * DEEP + "status == 200", "--count"), {0, 2}),
        (("filter", "SESSION", "-w", " and ".join(["status == 200"] * DEEP), "--count"), {0, 2}),
        (("filter", "SESSION", "-w", f"json[$.{'.'.join('a' * DEEP)}] == 1", "--count"), {0, 2}),
        (("filter", "SESSION", "-w", f'url ~ "{"(" * DEEP}a{")" * DEEP}"', "--count"), {2}),
        (("diff", "SESSION", "SESSION", "--ignore", f"json:${'.a' * DEEP}"), {0}),
        (("diff", "SESSION", "SESSION", "--ignore", f"json:${'..a' * DEEP}"), {0}),
        (("diff", "SESSION", "SESSION", "--ignore", f"text:{'(' * DEEP}a{')' * DEEP}"), {0, 2}),
        (("replay", "SESSION", "--to", "http://127.0.0.1:9", "--dry-run", "--set", f"json:${'.a' * DEEP}=1"), {0, 2}),
        (("replay", "SESSION", "--to", "http://127.0.0.1:9", "--dry-run", "--set", f"json:${'[?@' * DEEP}=1"), {2}),
    ],
    ids=lambda value: "-".join(map(str, value))[:40] if isinstance(value, tuple) else "",
)
def test_what_is_asked(run: Run, session: Any, arguments: tuple[str, ...], codes: set[int]) -> None:
    path = session('{"a": 1}')
    assert run(*(path if argument == "SESSION" else argument for argument in arguments))[0] in codes


@pytest.mark.parametrize(
    ("option", "text"), [("--ignore-file", f"ignore: {LISTS}"), ("--baseline", f'{{"accepted": {LISTS}}}')]
)
def test_files_for_comparisons(run: Run, session: Any, tmp_path: Path, option: str, text: str) -> None:
    (tmp_path / "file").write_text(text)
    path = session("{}")
    assert run("diff", path, path, option, tmp_path / "file")[0] == 2


@pytest.mark.parametrize(
    "text",
    [
        f'{{"log":{{"version":"1.2","entries":[{LISTS}]}}}}',
        f'{{"log":{LISTS}}}',
        f'{{"log":{{"version":"1.2","_mockrec":{LISTS},"entries":[]}}}}',
        '{"log":{"version":"1.2","entries":[{"_mockrec":{"id":"x","events":[{"type":"request","within":'
        + '{"within":' * 900 + "{}" + "}" * 900 + "}]}}]}}",
    ],
)  # fmt: skip
def test_har_files(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "file.har").write_text(text)
    for command in ("stats", "show", "verify"):
        assert run(command, tmp_path / "file.har")[0] in (0, 1, 2)


@pytest.mark.parametrize("levels", [1, 29, 31, 48, 89, 90, 91, 250, 480, 990, DEEP])
def test_bodies(run: Run, session: Any, tmp_path: Path, levels: int) -> None:
    """Whatever their depth they are sent, made into rules that load, and found again."""
    body = '{"a":[' * (levels // 2) + '{"b":"redacted-00000001"}' + "]}" * (levels // 2)
    path = session(body)
    rules = tmp_path / "rules.yaml"
    assert run("replay", path, "--to-rules", rules)[0] == 0
    code, said = run("check", rules)
    assert code == 0, said
    assert run("replay", path, "--to", "http://127.0.0.1:9", "--dry-run", "--set", "name:b=1")[0] in (0, 2)
    cassette = Cassette(path, MatchOptions(("method", "path", "json")))
    try:
        assert len(cassette.recordings) == 1
    finally:
        cassette.close()
    for command in (("stats", path), ("show", path, "x-1"), ("verify", path), ("filter", path, "-w", "json[$.a] == 1")):
        assert run(*command)[0] in (0, 1)


def test_rules_are_written_in_time_that_grows_with_their_size() -> None:
    """At each level it was tried anew whether all that follows fits into a line."""
    looked_at = 0

    class Counted(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            nonlocal looked_at
            looked_at += 1
            return super().__iter__()

    value: Any = "x" * 200
    for _ in range(80):
        value = Counted([value])
    assert sum(1 for _ in yaml_lines([value])) == 1
    assert looked_at < 80 * 80


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate"])
def test_codings_of_codings(name: str) -> None:
    with pytest.raises(content.UndecodableError):
        content.decode(b"x", content.codings_of(", ".join([name] * DEEP)), 1000)


# ── what peers say to a recorder ───────────────────────────────────────────────────────────────────

TEXTS = [LISTS, '{"a":' * DEEP + "1" + "}" * DEEP, "[" * DEEP, ':{"a":' * DEEP]


@pytest.mark.parametrize("text", TEXTS, ids=["lists", "objects", "open", "torn"])
def test_json_of_peers(text: str) -> None:
    """Read by Python's own reader, which calls itself: `parse` makes a ValueError of that, and all use `parse`."""
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
        parse(text)
    assert not message_fits(text.encode(), {"json": [1]})
    assert not message_fits(text.encode(), {"jsonIncludes": {"a": 1}})
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
        Body.from_record({"size": len(text), "text": text}).json()


ALLOWED = {
    "engine/replay/chain/json_scan.py": "a string alone, which has no depth",
    "engine/replay/session/fingerprint.py": "a copy of a document that was read already",
    "engine/replay/serve/store.py": "a record that this program has put there",
    "formats/diff/model/spool.py": "what this program has put there",
    "formats/text/json.py": "`parse` itself",
    "cli/diff_sets.py": "the report of a pair, which this program has just written (at most 254 levels)",
    "engine/testing/client.py": "what the recorder has written itself",
    "engine/testing/recorder.py": "what the recorder has written itself",
    "engine/testing/exchanges.py": "in the process of the test, which asks for the value",
    "engine/rules/matching/types.py": "a schema of the rule file; it says where it is, and RecursionError is caught",
    "formats/diff/baseline.py": "a file of the user's; it says its name, and RecursionError is caught",
    "formats/diff/compare/documents.py": "with numbers kept by value; RecursionError is caught",
    "formats/diff/compare/volatile.py": "RecursionError is caught",
    "formats/har/split.py": "an entry that orjson has refused; RecursionError is caught",
    "formats/imported/cassette.py": "a cassette that orjson has refused; RecursionError is caught",
}


def test_nobody_else_reads_json_with_a_reader_that_calls_itself() -> None:
    root = Path(__file__).parents[2]
    found = {
        str(path.relative_to(root))
        for folder in ("cli", "engine", "formats")
        for path in (root / folder).rglob("*.py")
        if re.search(r"(?<!or)json\.loads\(", path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)
