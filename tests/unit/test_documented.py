"""The reading of pages, on which the tests of the documentation rest: a comparison that always holds would hide everything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documented import blocks, differences

ROOT = Path(__file__).parents[2]
MOCKTTP = ROOT / "tests" / "benchmarks" / ".peers" / "mockttp" / "node_modules" / "mockttp" / "dist"
PAGE = """\
<!-- given: a.jsonl, b.jsonl -->
<!-- not run: it takes long -->
```sh
# a remark
one \\
  two
three
```

```console
still running
$ echo $?
0
$ true
```

```yaml
# rules.yaml
version: 1
```

```yaml
version: 1
```
"""


def test_blocks_have_their_commands_notes_and_files() -> None:
    shell, console, file, snippet = blocks(PAGE)
    assert shell.notes == {"given": "a.jsonl, b.jsonl", "not run": "it takes long"}
    assert shell.line == 3
    assert list(shell.commands()) == [("one \\\n  two", []), ("three", [])]
    assert list(console.commands()) == [("", ["still running"]), ("echo $?", ["0"]), ("true", [])]
    assert (console.notes, file.file, snippet.file) == ({}, "rules.yaml", None)


def test_a_note_needs_a_block() -> None:
    with pytest.raises(AssertionError, match="no block"):
        blocks("<!-- not run: it takes long -->\n")


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        (["200  GET  /a  0.3ms"], "200 GET   /a 12ms\n"),
        (["port … of …"], "port 4711 of 9\r\n"),
        (["…", "end"], "a\nb\nend\n"),
        (["…", "end"], "end\n"),
        (["begin", "…"], "begin\n"),
        ([], ""),
        (["id 01a21201-f7ef-7eeb-b85b-a4b9bd534cc8"], "id 01a21201-f7f4-7356-a9f7-480a34a2ebba"),
    ],
)
def test_what_is_the_same(shown: list[str], real: str) -> None:
    assert differences(shown, real) == ""


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        (["200 GET /a"], "201 GET /a\n"),
        (["one"], "one\ntwo\n"),
        (["one", "two"], "one\n"),
        (["  indented"], "indented\n"),
        (["a.c"], "abc\n"),
        ([], "something\n"),
        (["something"], ""),
        (["begin", "…", "end"], "begin\nend of it\n"),
    ],
)
def test_what_is_not(shown: list[str], real: str) -> None:
    assert "the program says" in differences(shown, real)


@pytest.mark.skipif(not MOCKTTP.is_dir(), reason="Mockttp is not here: tests/benchmarks/setup.sh installs it")
def test_the_page_on_mockttp_has_its_whole_api() -> None:
    page = (ROOT / "docs" / "howto-mockttp.md").read_text(encoding="utf-8")
    declared: set[str] = set()
    for name in (
        "mockttp",
        "rules/base-rule-builder",
        "rules/requests/request-rule-builder",
        "rules/websockets/websocket-rule-builder",
        "rules/passthrough-handling-definitions",
        "rules/proxy-config",
    ):
        text = re.sub(r"/\*.*?\*/", "", (MOCKTTP / f"{name}.d.ts").read_text(encoding="utf-8"), flags=re.DOTALL)
        public = "\n".join(
            line for line in text.splitlines() if not re.search(r"\b(?:private|protected|import)\b", line)
        )
        declared |= set(re.findall(r"^ {4}(?:get )?(\w+)\??[(:<]", public, re.MULTILINE))
        declared |= set(re.findall(r"\bon(?:<[^>]*>)?\(event: '([\w-]+)'", public))
    step_files = ("rules/requests/request-step-definitions", "rules/websockets/websocket-step-definitions")
    for name in (*step_files, "rules/matchers", "rules/completion-checkers"):
        text = (MOCKTTP / f"{name}.d.ts").read_text(encoding="utf-8")
        declared |= set(re.findall(r"^export declare class (\w+) extends Serializable", text, re.MULTILINE))
    transforms = (MOCKTTP / f"{step_files[0]}.d.ts").read_text(encoding="utf-8")
    for name in ("RequestTransform", "ResponseTransform", "PassThroughStepOptions"):
        body = re.search(
            rf"interface {name} extends [^{{]*{{(.*?)^}}|interface {name} {{(.*?)^}}",
            transforms,
            re.DOTALL | re.MULTILINE,
        )
        assert body is not None
        declared |= set(re.findall(r"^ {4}(\w+)\??:", body[1] or body[2], re.MULTILINE))
    declared -= {"constructor", "on", "startPort", "endPort"}
    assert len(declared) > 120
    assert sorted(name for name in declared if not re.search(rf"\b{re.escape(name)}\b", page)) == []
