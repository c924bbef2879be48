"""New values in place of recorded ones, once the new answers are there."""

from __future__ import annotations

import json
import zlib
from typing import Any

import anyio
import pytest

from mockrec.engine.replay.chain.chains import Chained, Chains
from mockrec.engine.replay.chain.plan import ChainSurvey, Link
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.requests import RecordedRequest

pytestmark = pytest.mark.anyio

T = "a8f3k2m9x7"
JSON = [["Content-Type", "application/json"]]


class Handed:
    """A recording of one answer that a request uses."""

    def __init__(
        self, got: str, target: str, *, source: str = "/users", head: Any = JSON, seconds: float = 60.0
    ) -> None:
        survey = ChainSurvey()
        first = EditableRequest("POST", source, [], b"")
        survey.links(first, 1, 0.0)
        survey.will_send(RecordedRequest("1", "c", {"type": "request"}, 0.0, order=1), first)
        survey.answer("1", {"type": "response", "rawHeaders": head, "body": {"size": len(got), "text": got}}, None)
        self.source = source
        self.draft = EditableRequest("GET", target, [], b"")
        survey.links(self.draft, 2, 0.0)
        plan = survey.finish()
        self.links: tuple[Link, ...] = plan.links(self.draft, 2, 0.0)
        self.chained = Chained()
        self.chains = Chains(plan, seconds, self.chained)

    async def answer(self, body: bytes | str, head: Any = JSON) -> None:
        assert self.chains.expect("1")
        await self.chains.take("1", self.source, head, body.encode() if isinstance(body, str) else body)
        self.chains.over("1")

    async def sent(self) -> str:
        self.tags, self.problem = await self.chains.fill(self.draft, self.links)
        return self.draft.target


async def test_the_new_value_is_sent_and_told() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    await handed.answer('{"t": "new & other"}')
    assert await handed.sent() == "/x?t=new%20%26%20other"
    assert handed.tags == ["chained:query:t"]
    assert handed.chained.done == {"POST /users json:$.t → query:t": 1}


async def test_an_equal_value_is_no_news() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    await handed.answer(f'{{"t": "{T}"}}')
    assert await handed.sent() == f"/x?t={T}"
    assert (handed.tags, handed.chained.done, handed.chained.missing) == ([], {}, {})


async def test_a_value_that_is_missing_is_sent_as_recorded() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    await handed.answer("<p>not today</p>", [["Content-Type", "text/html"]])
    assert await handed.sent() == f"/x?t={T}"
    assert handed.chained.missing == {"POST /users json:$.t → query:t": 1}


async def test_the_same_thing_elsewhere_in_a_list_is_still_the_same_thing() -> None:
    handed = Handed('[{"id": 7}, {"id": 8}]', "/users/8")
    await handed.answer('[{"id": 6}, {"id": 7}, {"id": 8}]')
    assert await handed.sent() == "/users/8"


async def test_another_list_gives_another_thing() -> None:
    handed = Handed('[{"id": 7}, {"id": 8}]', "/users/8")
    await handed.answer('[{"id": 17}, {"id": 18}]')
    assert await handed.sent() == "/users/18"


@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("/users?page=3&n=2", "/users?page=3&n=2"),
        ("http://other.test/users?page=4&n=2#top", "/users?page=4&n=2"),
        ("/login?next=2", "/users?page=2&n=2"),  # it leads elsewhere: what was recorded is asked for
        ("/users?page=3", "/users?page=2&n=2"),
        ("/other?page=3&n=2", "/users?page=2&n=2"),
    ],
)
async def test_links_are_followed_where_they_lead_to_the_same_kind_of_place(link: str, sent: str) -> None:
    handed = Handed('{"next": "/users?page=2&n=2"}', "/users?page=2&n=2")
    await handed.answer(json.dumps({"next": link}))
    assert await handed.sent() == sent


async def test_ids_in_paths_of_links() -> None:
    handed = Handed("", "/users/7/orders", head=[["Location", "/users/7"]])
    await handed.answer("", [["Location", "/users/8"]])
    assert await handed.sent() == "/users/8/orders"


async def test_a_request_waits_for_the_answer_it_needs() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    assert handed.chains.expect("1")
    order: list[str] = []

    async def send() -> None:
        await handed.sent()
        order.append("sent")

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        order.append("answered")
        await handed.chains.take("1", "/users", JSON, b'{"t": "new"}')
        handed.chains.over("1")
    assert order == ["answered", "sent"]
    assert handed.draft.target == "/x?t=new"


async def test_it_does_not_wait_for_ever() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}", seconds=0.01)
    assert handed.chains.expect("1")
    assert await handed.sent() == f"/x?t={T}"


async def test_it_does_not_wait_for_what_is_not_sent() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    assert await handed.sent() == f"/x?t={T}"


async def test_a_mark_without_a_value_keeps_a_request_from_being_sent() -> None:
    handed = Handed('{"t": "redacted-0123abcd"}', "/x?t=redacted-0123abcd")
    await handed.answer('{"other": 1}')
    await handed.sent()
    assert handed.problem == "query:t is redacted, and the answer to POST /users has no json:$.t"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "unheard-of"])
async def test_answers_in_a_coding(coding: str) -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    packed = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    body = packed.compress(b'{"t": "new"}') + packed.flush()
    await handed.answer(body, [*JSON, ["Content-Encoding", coding]])
    assert await handed.sent() == ("/x?t=new" if coding != "unheard-of" else f"/x?t={T}")


async def test_long_answers_are_looked_through_up_to_a_megabyte() -> None:
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    await handed.answer(json.dumps({"x": "y" * 500_000, "t": "new"}))
    assert await handed.sent() == "/x?t=new"
    handed = Handed(f'{{"t": "{T}"}}', f"/x?t={T}")
    await handed.answer(json.dumps({"x": "y" * 1_100_000, "t": "new"}))
    assert await handed.sent() == f"/x?t={T}"


@pytest.mark.parametrize(
    ("size", "head", "elsewhere"),
    [(30_000, JSON, False), (40_000, JSON, True), (400, [*JSON, ["Content-Encoding", "gzip"]], True)],
)
async def test_what_takes_a_while_is_looked_at_outside_of_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, head: Any, elsewhere: bool
) -> None:
    called = False

    async def own_call(function: Any, *arguments: Any) -> Any:
        nonlocal called
        called = True
        return function(*arguments)

    monkeypatch.setattr("mockrec.engine.replay.chain.chains.own_call", own_call)
    await Handed(f'{{"t": "{T}"}}', f"/x?t={T}").answer(b"x" * size, head)
    assert called is elsewhere
