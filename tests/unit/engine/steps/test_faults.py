"""Answers that are none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from mockrec.engine.rules.model import BodySource, Malformed, Reply, SourceLocation
from mockrec.engine.steps import faults

pytestmark = pytest.mark.anyio

PLACE = SourceLocation("rules.yaml", 4, 3, "rules[0].then.malformed")


@pytest.mark.parametrize(("word", "code"), [("close", "E_RULE_CLOSE"), ("reset", "E_RULE_RESET")])
async def test_close_and_reset(stage: Any, steps: Any, word: str, code: str) -> None:
    await steps.run(stage, word)
    assert stage.channel.done == [(word,)]
    assert stage.log.types[-1] == "abort"
    abort = stage.log.only("abort")
    assert (abort["error"]["name"], abort["error"]["code"]) == ("AbortError", code)
    assert abort["matchedRuleId"] == "it"
    assert "response" not in abort


async def test_timeout_never_responds(stage: Any, steps: Any) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steps.run, stage, "timeout")
        await wait_all_tasks_blocked()
        assert stage.channel.done == []
        assert stage.log.types == ["request-initiated", "request-body-data", "request"]
        tasks.cancel_scope.cancel()


async def test_raw_bytes_go_out_as_they_are(stage: Any, steps: Any) -> None:
    await steps.run(stage, 'malformed: {raw: "junk ö\\r\\n"}')
    data = "junk ö\r\n".encode()
    assert stage.channel.done == [("raw", data)]
    abort = stage.log.only("abort")
    assert abort["error"]["code"] == "E_RULE_MALFORMED"
    assert abort["error"]["message"] == f"{len(data)} raw bytes sent by rule"
    assert "response" not in abort


async def test_raw_bytes_that_look_like_an_answer_are_told_as_one(stage: Any, steps: Any) -> None:
    await steps.run(stage, 'malformed: {raw: "HTTP/1.1 200 Fine\\r\\nX: y\\r\\nno colon\\r\\n\\r\\nbody"}')
    response = stage.log.only("abort")["response"]
    assert response == {
        "statusCode": 200,
        "statusMessage": "Fine",
        "headers": {"x": "y"},
        "rawHeaders": [["X", "y"]],
        "body": {"size": 4, "text": "body", "incomplete": True},
    }


async def test_a_head_without_fields_leaves_no_empty_object(stage: Any, steps: Any) -> None:
    await steps.run(stage, "malformed: {base64: SFRUUC8xLjEgMjAwDQoNCg==}")
    response = stage.log.only("abort")["response"]
    assert response["statusCode"] == 200
    assert "headers" not in response
    assert response["body"] == {"size": 0, "text": "", "incomplete": True}


@pytest.mark.parametrize(("count", "sent"), [(0, b""), (3, b"abc"), (6, b"abcdef"), (100, b"abcdef")])
async def test_a_reply_is_cut_off(stage: Any, steps: Any, count: int, sent: bytes) -> None:
    await steps.run(stage, f"malformed: {{truncateAfter: {count}, status: 201, headers: {{X: y}}, body: abcdef}}")
    assert stage.channel.done == [("head", 201, [("X", "y"), ("Content-Length", "6")]), ("cut", sent)]
    abort = stage.log.only("abort")
    assert abort["error"]["message"] == f"answer cut off by rule after {len(sent)} bytes of its body"
    assert abort["response"]["body"] == {"size": len(sent), "text": sent.decode(), "incomplete": True}


async def test_what_is_cut_off_may_be_a_template(stage: Any, steps: Any) -> None:
    await steps.run(stage, 'malformed: {truncateAfter: 2, body: "{{ request.method }}", template: true}')
    assert stage.channel.done == [("head", 200, [("Content-Length", "3")]), ("cut", b"GE")]


@pytest.mark.parametrize(
    "keys", ['body: "{{ request.query.none }}"', "headers: {X: \"{{ 'a\\\\nb' }}\"}"], ids=["body", "header"]
)
async def test_a_template_that_fails(stage: Any, steps: Any, keys: str) -> None:
    await steps.run(stage, f"malformed: {{truncateAfter: 2, {keys}, template: true}}")
    assert [sent[:2] for sent in stage.channel.done] == [("whole", 500)]
    assert stage.log.only("rule-event")["eventType"] == "template-error"


async def test_a_file_that_is_missing(stage: Any, tmp_path: Path) -> None:
    reply = Reply(PLACE, body=BodySource(file=str(tmp_path / "none")))
    await stage.act(faults.malformed_handler(Malformed(PLACE, truncate_after=1, reply=reply), random.Random(1)))
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    assert body.decode() == f"cannot read {tmp_path / 'none'}: No such file or directory\n"
