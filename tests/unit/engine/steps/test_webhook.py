"""Posts to others: what is in them, when they are sent, and when not."""

from __future__ import annotations

import base64
import json
from typing import Any

import anyio
import pytest

from mockrec.engine.steps import webhook_delivery
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.errors import UpstreamError

pytestmark = pytest.mark.anyio


class Hook:
    """The other end of every post."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        self.answer: int | UpstreamError = 200

    async def post(self, dialer: Any, url: str, body: bytes) -> int:
        self.posts.append((url, json.loads(body)))
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer

    def data(self, kind: str) -> dict[str, Any]:
        (data,) = [body["eventData"] for _, body in self.posts if body["eventType"] == kind]
        return data


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    monkeypatch.setattr(webhook_delivery, "post", hook.post)
    return hook


async def run(stage: Any, steps: Any, text: str, start: str = "GET /", *headers: tuple[str, str], **more: Any) -> Any:
    """Run the steps, and all that they do in the background."""
    async with anyio.create_task_group() as tasks:
        steps.tools.webhooks.start(tasks)
        exchange = await steps.run(stage, text, start, *headers, **more)
        await steps.tools.webhooks.wait()
    return exchange


async def test_the_request_and_the_response_are_posted(stage: Any, steps: Any, hook: Hook) -> None:
    text = "- webhook: {url: 'http://hook.test/x'}\n- reply: {status: 201, headers: {A: b}, body: hi, trailers: {T: 1}}"
    exchange = await run(stage, steps, text, "POST /p?q=1", ("X", "y"), body=b"\xffbody")
    assert [url for url, _ in hook.posts] == ["http://hook.test/x"] * 2
    assert hook.data("request") == {
        "id": exchange.id,
        "method": "POST",
        "url": "http://example.test/p?q=1",
        "headers": {"host": "example.test", "x": "y"},
        "trailers": {},
        "body": {"format": "base64", "data": base64.b64encode(b"\xffbody").decode()},
    }
    assert hook.data("response") == {
        "id": exchange.id,
        "statusCode": 201,
        "statusMessage": "Created",
        "headers": {"a": "b", "transfer-encoding": "chunked"},
        "trailers": {"t": "1"},
        "body": {"format": "base64", "data": base64.b64encode(b"hi").decode()},
    }
    assert "rule-event" not in stage.log.types


async def test_a_streamed_body_is_posted_too(stage: Any, steps: Any, hook: Hook) -> None:
    await run(stage, steps, "- webhook: {url: 'http://h.test'}\n- stream: {chunks: [{data: a}, {data: b}]}")
    assert base64.b64decode(hook.data("response")["body"]["data"]) == b"ab"


async def test_what_was_not_sent_is_not_posted(stage: Any, steps: Any, hook: Hook) -> None:
    await run(stage, steps, "- webhook: {url: 'http://h.test', events: [response]}\n- reply: {body: hello}", "HEAD /")
    assert hook.data("response")["body"]["data"] == ""


@pytest.mark.parametrize("events", [["request"], ["response"], ["request", "response"]])
async def test_only_what_is_asked_for(stage: Any, steps: Any, hook: Hook, events: list[str]) -> None:
    await run(stage, steps, f"- webhook: {{url: 'http://h.test', events: [{', '.join(events)}]}}\n- reply: {{}}")
    assert sorted(body["eventType"] for _, body in hook.posts) == sorted(events)


async def test_an_aborted_answer_is_not_posted(stage: Any, steps: Any, hook: Hook) -> None:
    await run(stage, steps, "- webhook: {url: 'http://h.test'}\n- close")
    assert [body["eventType"] for _, body in hook.posts] == ["request"]


async def test_two_webhooks_of_a_rule(stage: Any, steps: Any, hook: Hook) -> None:
    text = "- webhook: {url: 'http://a.test', events: [response]}\n- webhook: {url: 'http://b.test'}\n- reply: {}"
    await run(stage, steps, text)
    assert sorted(url for url, _ in hook.posts) == ["http://a.test", "http://b.test", "http://b.test"]


async def test_a_request_that_never_ends_is_not_posted(stage: Any, steps: Any, hook: Hook) -> None:
    async with anyio.create_task_group() as tasks:
        steps.tools.webhooks.start(tasks)
        plan, rule = steps.plan("- webhook: {url: 'http://h.test', events: [request]}\n- timeout")
        exchange = stage.exchange("POST /", ("Content-Length", "9"), complete=False, rule=rule)
        tasks.start_soon(plan.run, exchange)
        await anyio.wait_all_tasks_blocked()
        exchange.abort(None)
        await steps.tools.webhooks.wait()
        tasks.cancel_scope.cancel()
    assert hook.posts == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (500, {"name": "WebhookError", "message": "the webhook answered 500"}),
        (301, {"name": "WebhookError", "message": "the webhook answered 301"}),
        (
            UpstreamError("ECONNREFUSED", "refused"),
            {"name": "WebhookError", "message": "refused", "code": "ECONNREFUSED"},
        ),
    ],
)
async def test_a_post_that_fails_is_recorded(stage: Any, steps: Any, hook: Hook, answer: Any, error: Any) -> None:
    hook.answer = answer
    await run(stage, steps, "- webhook: {url: 'http://h.test', events: [request]}\n- reply: {}")
    event = stage.log.only("rule-event")
    assert event["eventType"] == "webhook-error"
    assert event["eventData"] == {"url": "http://h.test", "webhookEventType": "request", "error": error}


async def test_every_2xx_is_well(stage: Any, steps: Any, hook: Hook) -> None:
    hook.answer = 204
    await run(stage, steps, "- webhook: {url: 'http://h.test', events: [request]}\n- reply: {}")
    assert "rule-event" not in stage.log.types


async def test_our_own_posts_start_no_webhook(
    stage: Any, steps: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Dialer, "is_ours", lambda self, peer, local: (peer, local) == (("127.0.0.1", 50000), ("", 8000))
    )
    await run(stage, steps, "- webhook: {url: 'http://h.test'}\n- reply: {}")
    assert hook.posts == []
    assert stage.log.types[-1] == "response"


async def test_the_exchange_does_not_wait(stage: Any, steps: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*given: Any) -> int:
        await anyio.sleep_forever()
        return 200

    monkeypatch.setattr(webhook_delivery, "post", never)
    async with anyio.create_task_group() as tasks:
        steps.tools.webhooks.start(tasks)
        await steps.run(stage, "- webhook: {url: 'http://h.test'}\n- reply: {}")
        assert stage.log.types[-1] == "response"
        with anyio.move_on_after(0) as waited:
            await steps.tools.webhooks.wait()
        assert waited.cancelled_caught
        tasks.cancel_scope.cancel()
