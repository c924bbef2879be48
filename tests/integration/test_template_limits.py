"""A template that wants too much is answered with 500 and recorded; the others, and the next request, go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
RULES = """version: 1
server: {limits: {templateSize: 1MiB}}
rules:
  - id: wide
    when: {path: /wide}
    then: {reply: {template: true, body: "{{ 'a' | center(request.query.n | int) }}"}}
  - id: long
    when: {path: /long}
    then:
      reply:
        template: true
        body: |
          first
          {% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}
  - {id: told, when: {path: /told}, then: [{emit: {type: mine, data: {a: "{{ 'x' * 2000000 }}"}}}, {reply: {body: ok}}]}
"""


def test_what_a_request_asks_for_is_bounded(recorder: Start, client: Any, tmp_path: Path) -> None:
    run = recorder(RULES)
    asking = client(run.port)
    wide = asking.get("/wide?n=9999999999")
    small = asking.get("/wide?n=3")
    long = asking.get("/long")
    told = asking.get("/told")
    session = run.stop()
    rules = tmp_path / "rules.yaml"
    assert (wide.status, small.status, long.status, told.status) == (500, 200, 500, 200)
    assert small.text == " a "
    assert wide.text == (
        f"rule wide ({rules}:4): the template in {rules}:6:42 failed: the filter center makes more than the "
        "1,048,576 bytes of text and values that a template may make (server.limits.templateSize raises that)\n"
    )
    assert f"{rules}:14:1 failed: a loop needs more than the 400,000 steps" in long.text
    events = [record for record in session.by_type("rule-event") if record["eventType"] == "template-error"]
    assert [(event["ruleId"], event["eventData"]["line"]) for event in events] == [
        ("wide", 6),
        ("long", 14),
        ("told", 15),
    ]
    assert len(session.by_type("response")) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ 'a'|center(10**10) }}", "no problems"),
        ("{{ 1e999 }}", "a number is too large"),
        ("{% include 'x' %}", "a template stands alone"),
    ],
)
def test_check_works_nothing_out(program: Any, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f'version: 1\nrules: [{{then: {{reply: {{template: true, body: "{text}"}}}}}}]\n', encoding="utf-8")
    done = program("check", path)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "it has more than 64 MiB"),
        (b"version: 1\nrules: " + b"[" * 200_000, "levels deep"),
        (b"version: 1\nrules: [" + b"{nope: 1}," * 2000 + b"]", "and 3,000 more problems"),
        (b"version: 1\nx:\n  a: &a [1]\n" + b"".join(
            b"  %c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(20)
        ), "aliases repeat more than"),
    ],
    ids=["endless", "deep", "wrong", "laughs"],
)  # fmt: skip
def test_a_rule_file_that_is_too_much_is_told(program: Any, tmp_path: Path, content: bytes | None, said: str) -> None:
    path = Path("/dev/zero")
    if content is not None:
        path = tmp_path / "rules.yaml"
        path.write_bytes(content)
    done = program("check", path)
    assert done.returncode == 2
    assert said in done.stderr
