"""The answer to a request that no rule matches."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.steps.unmatched import explain_plan

pytestmark = pytest.mark.anyio


def rule_set(rule_files: Any, path: str) -> RuleSet:
    text = f"version: 1\nrules:\n  - id: greet\n    when: {{path: {path}}}\n    then: {{reply: {{body: hi}}}}\n"
    return RuleSet(rule_files.load(text).rule_file.rules, lambda handler: lambda request: True)


async def test_it_is_a_503_that_explains(stage: Any, rule_files: Any) -> None:
    plan = explain_plan(lambda: rule_set(rule_files, "/hello"))
    assert plan.never_blocks
    exchange = await stage.act(plan.run, "POST /helo")
    ((_, status, headers, body, _),) = stage.channel.done
    assert status == 503
    assert headers[0] == ("Content-Type", "text/plain; charset=utf-8")
    text = body.decode()
    assert "POST http://example.test/helo" in text
    assert 'path: expected "/hello"' in text or "/hello" in text
    assert "- when: {method: POST, path: /helo}" in text
    assert exchange.unmatched
    record = stage.log.only("response")
    assert "matchedRuleId" not in record
    assert record["body"]["text"].startswith(text[:500])


async def test_the_rules_are_those_of_the_moment(stage: Any, rule_files: Any) -> None:
    rules = [rule_set(rule_files, "/one")]
    plan = explain_plan(lambda: rules[0])
    await stage.act(plan.run)
    rules[0] = rule_set(rule_files, "/two")
    await stage.act(plan.run)
    first, second = (sent[3].decode() for sent in stage.channel.done)
    assert "/one" in first
    assert "/two" not in first
    assert "/two" in second


async def test_a_request_that_cannot_be_told_in_utf_8_is_told_all_the_same(stage: Any, rule_files: Any) -> None:
    plan = explain_plan(lambda: rule_set(rule_files, "/hello"))
    await stage.act(plan.run, "GET /", ("X", "\xff"), body=b"\xed\xa0\x80")
    assert stage.channel.done[0][1] == 503
