"""Hints for rule files that use the words of other tools, or are valid but hardly intended."""

from __future__ import annotations

import pytest

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.language.load import load_rules


def is_folder(path: str) -> bytes:
    if path.endswith("site"):
        raise IsADirectoryError(21, "Is a directory")
    if path.endswith("gone"):
        raise FileNotFoundError(2, "No such file or directory")
    return b""


def problems(text: str) -> list[str]:
    """The problems of a rule file, or else its warnings."""
    try:
        loaded = load_rules(text.encode(), path="r.yaml", folder="/", read_file=is_folder, env={})
    except RuleFileError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in loaded.warnings]


def one(rule: str) -> str:
    (problem,) = problems(f"version: 1\nrules:\n  - {rule}\n")
    return problem


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('{when: {path: "/items/{id}"}, then: close}', 'in `path`; pathTemplate: "/items/{id}" matches any value'),
        ('{when: {url: "http://a/{id}"}, then: close}', "in `url`; `pathTemplate` matches any value"),
        ("{when: {path: /items/{id}}, then: close}", "text with { or } in it needs quotes"),
        ("{when: {path: /a, headers: {X: a{b}}}, then: close}", "text with { or } in it needs quotes"),
        ("{then: {reply: {body: {{ request.path }}, template: true}}}", "needs quotes"),
        ('{then: {reply: {body: "{{ request.path }}"}}}', "`{{ … }}` is sent as it stands; say `template: true`"),
        ('{then: {reply: {json: {a: ["{{ uuid }}"]}}}}', "`{{ … }}` is sent as it stands"),
        ('{then: {reply: {headers: {X: "{{ now }}"}}}}', "`{{ … }}` is sent as it stands"),
        ("{then: {response: {body: x}}}", 'unknown step "response"; did you mean `reply`?'),
        ("{then: {sleep: 1s}}", "did you mean `delay`?"),
        ("{then: {proxy: {}}}", "did you mean `passthrough`?"),
        ("{then: {rely: {}}}", 'did you mean "reply"?'),
        ("{then: {change: {response: {status: 201}}}}", "is a step of rules with `continue: true`"),
        ("{then: {delay: 1s}}", "a rule that only adds to others says `continue: true`"),
        ("{continue: true, then: {reply: {}}}", "it can have delay, waitForBody, informational, webhook, emit, change"),
        (
            "{continue: true, then: [{delay: 1s}, {passthrough: {}}]}",
            "write its `request` and `response` as the step `change`",
        ),
        ("{continue: yes, then: {delay: 1s}}", "expected true or false"),
        ("{continue: true, then: {change: {}}}", "give request or response"),
        ("{then: {reply: {folder: a.txt}}}", "is a file, not a folder"),
        ("{then: {reply: {folder: gone}}}", 'cannot read the folder "gone": No such file or directory'),
        ("{then: {reply: {folder: site, body: x}}}", "give only one of folder, body"),
        ("{then: {reply: {folder: site, status: 201}}}", "`status` cannot stand beside `folder`"),
        ("{then: {reply: {folder: site, headers: {Content-Length: 1}}}}", "Content-Length cannot be set here"),
        ("{then: {reply: {folder: site, index: a/b}}}", "expected the name of a file, or false"),
        ("{then: {reply: {folder: site, prefix: static}}}", "expected a path such as /static"),
        ("{then: {reply: {index: a.html}}}", "`index` belongs to `folder`"),
        ("{then: {malformed: {truncateAfter: 1, folder: site}}}", 'unknown key "folder"'),
    ],
)
def test_hints(rule: str, words: str) -> None:
    assert words in one(rule)


@pytest.mark.parametrize(
    "rule",
    [
        '{when: {path: "/items/{}"}, then: close}',
        '{when: {pathTemplate: "/items/{id}"}, then: close}',
        '{then: {reply: {body: "{{ request.path }}", template: false}}}',
        '{then: {reply: {body: "{{ user }} of Handlebars"}}}',
        "{then: {reply: {folder: site, index: false, prefix: /a}}}",
        "{continue: false, then: close}",
        "{continue: true, then: {change: {response: {python: a.py:b}}}}",
    ],
)
def test_what_is_meant_is_told_nothing(rule: str) -> None:
    assert problems(f"version: 1\nrules:\n  - {rule}\n") == []


@pytest.mark.parametrize(
    "start",
    ['{"seq":1,"type":"session-started"', '{"type":"session-started","seq":1', '{ "log": {"version": "1.2"', "PAR1"],
)
def test_a_session_is_no_rule_file(start: str) -> None:
    (problem,) = problems(start)
    assert "this is a recorded session, not a rule file" in problem
    assert "mockrec replay FILE --serve" in problem
