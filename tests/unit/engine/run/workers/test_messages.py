"""What parent and worker tell each other."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import Any

import pytest

from mockrec.engine.pickle_frames import to_frame
from mockrec.engine.run.workers.messages import Reload, StartRefused, receive

pytestmark = pytest.mark.anyio


async def received(data: bytes) -> list[Any]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while (message := await receive(reader)) is not None:
        found.append(message)
    return found


async def test_messages_arrive_as_they_were_sent() -> None:
    assert await received(to_frame(StartRefused("a")) + to_frame(StartRefused("b"))) == [
        StartRefused("a"),
        StartRefused("b"),
    ]


async def test_one_that_is_cut_is_none() -> None:
    data = to_frame(StartRefused("a"))
    for at in range(len(data)):
        assert await received(data[:at]) == []


async def test_rules_arrive_with_their_read_only_views(rule_files: Any) -> None:
    loaded = rule_files.load("rules:\n  - {when: {path: /a, headers: {x: y}}, then: {reply: {json: {a: [1]}}}}\n")
    (message,) = await received(to_frame(Reload(loaded, 3)))
    assert message == Reload(loaded, 3)
    headers = message.loaded.rule_file.rules[0].when.expected["headers"]
    assert type(headers) is type(loaded.rule_file.rules[0].when.expected["headers"]) or isinstance(
        headers, MappingProxyType
    )
