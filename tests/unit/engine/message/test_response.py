"""Prepared responses: reason phrases, and framed heads that are kept while their date is right."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mockrec.engine import clock
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.wire.parts import ResponseHead, header_table

Framed = tuple[int, str, Sequence[tuple[str, str]], int | None, str]


class FakeChannel:
    """Counts what is framed, and frames it in the plainest way."""

    def __init__(self, framing_key: object = "open", bodiless: bool = False) -> None:
        self.framing_key = framing_key
        self.bodiless = bodiless
        self.framed: list[Framed] = []

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        self.framed.append((status, reason, headers, length, date))
        raw = [[name, value] for name, value in headers] + [["Date", date]]
        return ResponseHead(status, reason, raw, header_table(raw))

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None: ...
    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None: ...
    async def send_head(self, head: ResponseHead) -> None: ...
    async def send_data(self, data: bytes) -> None: ...
    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None: ...
    async def send_raw(self, data: bytes) -> None: ...

    async def send_cut(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def reset(self) -> None: ...


class Seconds:
    """A wall clock that is set by hand. Each second is one object, as in the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = b"first second"
        monkeypatch.setattr(clock, "http_date", lambda: self.now)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    return Seconds(monkeypatch)


@pytest.mark.parametrize(
    ("status", "given", "reason"),
    [(200, None, "OK"), (404, None, "Not Found"), (299, None, ""), (200, "Fine", "Fine"), (200, "", "")],
)
def test_the_usual_reason_phrase_unless_one_is_given(status: int, given: str | None, reason: str) -> None:
    assert PreparedResponse(status, reason=given).reason == reason


def test_a_head_is_framed_from_the_prepared_response(seconds: Seconds) -> None:
    channel = FakeChannel()
    head = PreparedResponse(201, (("X", "y"),), b"hello").framed(channel)
    assert channel.framed == [(201, "Created", (("X", "y"),), 5, "first second")]
    assert head.raw_headers == [["X", "y"], ["Date", "first second"]]


@pytest.mark.parametrize(
    ("answer", "streamed", "length"),
    [
        (PreparedResponse(200), False, 0),
        (PreparedResponse(200, (), b"abc"), False, 3),
        (PreparedResponse(200, (), b"abc"), True, None),
        (PreparedResponse(200, (), b"abc", trailers=(("X", "y"),)), False, None),
    ],
)
def test_the_length_is_unknown_where_a_body_is_streamed_or_has_trailers(
    answer: PreparedResponse, streamed: bool, length: int | None
) -> None:
    channel = FakeChannel()
    answer.framed(channel, streamed=streamed)
    assert [framed[3] for framed in channel.framed] == [length]


def test_a_streamed_body_may_have_a_known_length() -> None:
    channel, answer = FakeChannel(), PreparedResponse(200)
    for length in (7, 8, None, 7):
        answer.framed(channel, length, streamed=True)
    PreparedResponse(200, trailers=(("X", "y"),)).framed(channel, 7, streamed=True)
    assert [framed[3] for framed in channel.framed] == [7, 8, None, None]


def test_a_head_is_framed_once_a_second(seconds: Seconds) -> None:
    answer, channel = PreparedResponse(200), FakeChannel()
    first = answer.framed(channel)
    assert answer.framed(channel) is first
    assert answer.framed(FakeChannel()) is first
    seconds.now = b"next second"
    second = answer.framed(channel)
    assert second.headers["date"] == "next second"
    assert answer.framed(channel) is second
    assert len(channel.framed) == 2


def test_each_kind_of_framing_has_its_own_head(seconds: Seconds) -> None:
    answer, channel, closing = PreparedResponse(200), FakeChannel("open"), FakeChannel("closing")
    heads = [
        answer.framed(channel),
        answer.framed(closing),
        answer.framed(channel, streamed=True),
        answer.framed(closing, streamed=True),
    ]
    assert [framed[3] for framed in channel.framed + closing.framed] == [0, None, 0, None]
    again = [
        answer.framed(channel),
        answer.framed(closing),
        answer.framed(channel, streamed=True),
        answer.framed(closing, streamed=True),
    ]
    assert all(old is new for old, new in zip(heads, again, strict=True))


def test_old_heads_are_forgotten_with_their_second(seconds: Seconds) -> None:
    answer = PreparedResponse(200)
    for key in range(100):
        seconds.now = b"second %d" % key
        answer.framed(FakeChannel(key))
    assert len(answer._framed) == 1


def test_the_date_is_the_clocks() -> None:
    before = clock.http_date().decode()
    head = PreparedResponse(200).framed(FakeChannel())
    assert head.headers["date"] in (before, clock.http_date().decode())
