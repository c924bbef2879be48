"""Rule events of the user's own."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

pytestmark = pytest.mark.anyio


async def test_fixed_data_is_written_as_it_is(stage: Any, steps: Any) -> None:
    exchange = await steps.run(stage, "- emit: {type: seen, data: {a: [1, null, true], b: {}}}\n- reply: {}")
    event = stage.log.only("rule-event")
    assert event["eventData"] == {"a": [1, None, True], "b": {}}
    assert (event["id"], event["requestId"], event["ruleId"]) == (exchange.id, exchange.id, "it")
    assert event["eventType"] == "seen"
    assert event["connectionId"] == exchange.client.connection_id
    assert stage.log.types[-1] == "response"


async def test_fixed_data_does_not_wait_for_the_request(stage: Any, steps: Any) -> None:
    await steps.run(stage, "- emit: {type: seen}\n- reply: {}", "POST /", ("Content-Length", "3"), complete=False)
    assert stage.log.only("rule-event")["eventData"] == {}


async def test_texts_are_templates_and_the_rest_keeps_its_type(stage: Any, steps: Any) -> None:
    text = "- emit: {type: 'saw-{{ request.method }}', data: {n: '{{ count }}', list: ['{{ 1 + 1 }}', 3]}}\n- reply: {}"
    await steps.run(stage, text)
    event = stage.log.only("rule-event")
    assert event["eventType"] == "saw-GET"
    assert event["eventData"] == {"n": "1", "list": ["2", 3]}


async def test_templates_wait_for_the_request(stage: Any, steps: Any) -> None:
    plan, rule = steps.plan("- emit: {type: t, data: {body: '{{ request.body }}'}}\n- reply: {}")
    exchange = stage.exchange("POST /", ("Content-Length", "2"), complete=False, rule=rule)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(plan.run, exchange)
        await wait_all_tasks_blocked()
        assert "rule-event" not in stage.log.types
        exchange.take_data(b"ab")
        exchange.take_end(())
    assert stage.log.only("rule-event")["eventData"] == {"body": "ab"}


async def test_a_template_that_fails_is_recorded_and_the_rule_goes_on(stage: Any, steps: Any) -> None:
    await steps.run(stage, "- emit:\n    type: t\n    data: {a: '{{ request.query.none }}'}\n- reply: {status: 201}")
    event = stage.log.only("rule-event")
    assert event["eventType"] == "template-error"
    assert (event["eventData"]["file"], event["eventData"]["line"]) == ("rules.yaml", 5)
    assert "none" in event["eventData"]["message"]
    assert stage.log.only("response")["statusCode"] == 201
