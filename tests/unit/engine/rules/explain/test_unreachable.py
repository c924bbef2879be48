"""Rules that can never answer, loaded from the text of rule files."""

from __future__ import annotations

import pytest

from mockrec.engine.rules.language.load import load_rules

A = "{when: {path: /a}, then: {reply: {}}}"
GET_A = "{when: {path: /a, method: GET}, then: {reply: {}}}"
WAITS = "{continue: true, then: {delay: 1s}}"
EDITS = "{continue: true, then: {change: {request: {method: PUT}}}}"


def warned(*rules: str) -> list[int]:
    """Numbers of the rules that get a warning."""
    text = "version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    loaded = load_rules(text.encode(), path="rules.yaml", folder="/", read_file=lambda _: b"", env={})
    return [problem.line - 3 for problem in loaded.warnings]


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        # an endless rule that asks for less
        (["{then: close}", "{when: {path: /a}, then: {reply: {}}}"], [1]),
        (["{when: {path: /a}, then: {reply: {}}}", "{when: {path: /a, method: GET}, then: {reply: {}}}"], [1]),
        (["{when: {path: /a}, then: {reply: {}}}", "{when: {path: /b}, then: {reply: {}}}"], []),
        # equal ones take turns, one with an end lets others through
        (["{when: {path: /a}, then: {reply: {}}}", "{when: {path: /a}, then: {reply: {status: 201}}}"], []),
        (
            [
                "{when: {path: /a}, times: once, then: {reply: {}}}",
                "{when: {path: /a, method: GET}, then: {reply: {}}}",
            ],
            [],
        ),
        (["{when: {path: /a}, times: always, then: {reply: {}}}", "{when: {path: /a}, then: {reply: {}}}"], [1]),
        (["{times: 0, then: close}"], [0]),
        # WebSockets and other requests pass each other by
        (["{when: {path: /a}, then: echo}", "{when: {path: /a, method: GET}, then: {reply: {}}}"], []),
        (["{when: {path: /a}, then: {reply: {}}}", "{when: {path: /a}, then: echo}"], []),
        (["{when: {path: /a}, then: echo}", "{when: {path: /a, method: GET}, then: listen}"], [1]),
        (["{then: passthrough}", "{when: {path: /a}, then: echo}"], [1]),
        (["{when: {path: /a}, then: echo}", "{when: {path: /a, method: GET}, then: passthrough}"], []),
        # a rule that continues makes no other unreachable, but can be unreachable itself
        ([WAITS, "{when: {path: /a}, then: close}"], []),
        (["{then: close}", WAITS], [1]),
        ([A, WAITS, GET_A], [2]),
        # a rule that changes requests gives later rules other requests, and ends sequences
        ([A, EDITS, GET_A], []),
        ([A, EDITS, A, GET_A], [3]),
    ],
)
def test_reach(rules: list[str], found: list[int]) -> None:
    assert warned(*rules) == found
