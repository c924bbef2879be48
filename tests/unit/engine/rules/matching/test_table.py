"""A matcher is one row of the table; the loader, the schema, the compiler and the explanations are derived from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.explain.explain import explain_miss, explain_rule
from mockrec.engine.rules.language import when as when_language
from mockrec.engine.rules.language.load import Loaded, json_schema, load_rules
from mockrec.engine.rules.matching.match import check_of
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import CompiledRule, RuleSet
from mockrec.engine.rules.matching.spec import PhraseSlot, ValueSpec
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.yaml.strings import Pattern

ENGINE = Path(__file__).parents[5] / "engine"


def ip_check(network: str) -> Callable[[RequestView], bool]:
    wanted = ip_network(network)

    def check(request: RequestView) -> bool:
        try:
            return ip_address(request.hostname) in wanted
        except ValueError:  # the URL has a name
            return False

    return check


IP = ValueSpec(
    key="ip",
    type=Pattern("an address or a network such as 10.0.0.0/8", r"[0-9a-fA-F.:]+(?:/\d+)?"),
    about="The server's address, or a network that it is in.",
    rank=9,
    slot=PhraseSlot.SERVER,
    check=ip_check,
    phrase="for address {}".format,
    found=lambda request: request.hostname,
)
"""The row of a made-up matcher `ip`."""


@pytest.fixture
def _ip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATCHERS, "ip", IP)
    monkeypatch.setattr(when_language, "_WHEN", when_language.when_record())


def load(when: str) -> Loaded:
    text = f"version: 1\nrules:\n- when: {when}\n  then: {{reply: {{status: 200}}}}\n"
    return load_rules(text.encode(), path="rules.yaml", folder="/", read_file=lambda _: b"", env={})


@pytest.mark.usefixtures("_ip")
def test_a_new_row_is_loaded_described_compiled_and_explained(request_of: Callable[..., RequestView]) -> None:
    (rule,) = load("{path: /a, ip: 10.0.0.0/8}").rule_file.rules
    assert (rule.when.given, rule.when.expected["ip"]) == (("path", "ip"), "10.0.0.0/8")
    assert rule.when.source["ip"] == "10.0.0.0/8"
    assert json_schema()["$defs"]["when"]["properties"]["ip"] == {"description": IP.about, **IP.type.schema({})}
    assert explain_rule(rule) == "/a for address 10.0.0.0/8 → reply 200"

    rules = RuleSet([rule])
    (matched,) = rules.rules
    assert rules.select(request_of(url="http://10.1.2.3/a")) is matched
    away = request_of(url="http://192.168.0.1/a")
    assert rules.select(away) is None
    assert '  ip: expected "10.0.0.0/8", found 192.168.0.1\n' in explain_miss(away, rules)
    assert check_of("ip", None, "10.0.0.0/8")(away) is False
    assert rules.select(request_of(url="http://a.test/a")) is None


@pytest.mark.usefixtures("_ip")
def test_a_new_row_is_nested_compared_and_checked_as_others_are(request_of: Callable[..., RequestView]) -> None:
    (rule,) = load("{anyOf: [{ip: 10.0.0.1}, {not: {ip: '::1'}}]}").rule_file.rules
    assert (
        explain_rule(rule)
        == "any request being one of (any request for address 10.0.0.1 | any request but not (any request for address ::1)) → reply 200"
    )
    assert isinstance(RuleSet([rule]).select(request_of(url="http://10.0.0.1/")), CompiledRule)

    loaded = load("{ip: 10.0.0.1}\n  then: {reply: {status: 201}}\n  times: always\n- when: {path: /a, ip: 10.0.0.1}")
    (warning,) = loaded.warnings
    assert "this rule can never be reached" in warning.message

    with pytest.raises(RuleFileError) as failed:
        load("{ip: a.test}")
    (problem,) = failed.value.problems
    assert (problem.where, problem.message) == (
        "rules[0].when.ip", 'expected an address or a network such as 10.0.0.0/8, got "a.test"'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "files"),
    [
        ("pathTemplate", {"rules/matching/head_rows.py", "rules/matching/select.py"}),  # the index over paths
        ("urlRegex", {"rules/matching/head_rows.py"}),
        ("bodyIncludes", {"rules/matching/body_rows.py"}),
        ("jsonSchema", {"rules/matching/body_rows.py"}),
    ],
)
def test_a_matcher_stands_in_one_file(key: str, files: set[str]) -> None:
    """Only the module with the row names a matcher; `testing/` writes rules, as users do."""
    snake = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key)
    word = re.compile(rf"[\"'.](?:{key}|{snake})\b")
    found = {str(path.relative_to(ENGINE)) for path in ENGINE.rglob("*.py") if word.search(path.read_text("utf-8"))}
    found = {path for path in found if not path.startswith("testing/")}
    assert found == files
