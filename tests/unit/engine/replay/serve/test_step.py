"""The step `replay`: recorded answers given again, misses, and what cannot be given."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.serve.step import MISSED, replay_handler
from mockrec.engine.replay.session.fingerprint import MatchOptions

pytestmark = pytest.mark.anyio

Ask = Callable[..., Any]


class Served:
    """A session that answers the exchanges of a stage."""

    def __init__(self, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
        self.stage = stage
        self.recorded = recorded
        self._open = cassette
        self.cassette: Any = None

    def record(self, path: str = "/a", **answer: Any) -> None:
        """A recorded exchange; `kind` and `said` beside the fields of its answer."""
        identity = f"id-{len(self.recorded.records)}"
        head = {"method": answer.pop("method", "GET"), "url": f"http://shop.test{path}", "path": path}
        self.recorded.add("request", identity, **head, rawHeaders=[["Host", "shop.test"]], httpVersion="1.1")
        for kind, fields in answer.pop("said", ()):
            self.recorded.add(kind, identity, **fields)
        kind = answer.pop("kind", "response")
        self.recorded.add(kind, identity, **{**({"statusCode": 200} if kind == "response" else {}), **answer})

    async def ask(
        self,
        start: str = "GET /a",
        *headers: tuple[str, str],
        latency: float = 0.0,
        match: MatchOptions | None = None,
        **more: Any,
    ) -> Any:
        """What the channel was told."""
        if self.cassette is None:
            self.cassette = self._open(match or MatchOptions())
            self.act = replay_handler(self.cassette, Latency(latency), SocketSettings())
        self.stage.channel.done.clear()
        self.exchange = await self.stage.act(self.act, start, *headers, **more)
        return self.stage.channel.done


@pytest.fixture
def served(stage: Any, recorded: Any, cassette: Any) -> Served:
    return Served(stage, recorded, cassette)


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"size": len(text), "text": text, **fields}


async def test_answers_in_their_order_and_then_the_last(served: Served) -> None:
    for number in (1, 2):
        served.record(body=body(str(number)), rawHeaders=[["X-N", str(number)], ["Content-Length", "1"]])
    told = [(await served.ask())[0] for _ in range(3)]
    assert told[0] == ("whole", 200, [("X-N", "1"), ("Content-Length", "1"), ("Content-Length", "1")], b"1", ())
    assert [one[3] for one in told] == [b"1", b"2", b"2"]
    assert served.exchange.tags == ("replay-of:id-2",)
    assert served.cassette.unused() == []


async def test_a_miss_names_the_nearest(served: Served) -> None:
    served.record(body=body("x"))
    ((_, status, headers, text, _),) = await served.ask("GET /b")
    assert (status, headers[0][0], served.exchange.tags) == (503, "Content-Type", (MISSED,))
    assert b'path: recorded "/a", asked for "/b"' in text


async def test_bodies_are_encoded_again_unless_the_wire_is_kept(served: Served) -> None:
    served.record(body=body("hello", contentEncoding="gzip"), rawHeaders=[["Content-Encoding", "gzip"]])
    served.record("/raw", body=body("hello", contentEncoding="gzip", raw="d2lyZQ=="))
    assert gzip.decompress((await served.ask())[0][3]) == b"hello"
    assert (await served.ask("GET /raw"))[0][3] == b"wire"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"body": body("x", truncated=True)}, b"cut when it was recorded"),
        ({"body": {"size": 5, "text": "", "truncated": True}}, b"its body is not in the recording"),
        ({"body": {"size": 5, "file": "../x"}}, b"its body cannot be made"),
        ({"statusCode": "many"}, b"it has no status"),
    ],
)
async def test_what_cannot_be_given_again_says_why(served: Served, told: dict[str, Any], said: bytes) -> None:
    served.recorded.add("request", "x", method="GET", url="http://shop.test/a", path="/a")
    served.recorded.add("response", "x", **{"statusCode": 200, **told})
    ((_, status, _, text, _),) = await served.ask()
    assert (status, said in text) == (503, True)
    assert served.cassette.missed == 1


async def test_heads_tell_the_length_of_what_they_do_not_have(served: Served) -> None:
    served.record(method="HEAD", rawHeaders=[["Content-Length", "99"], ["X", "1"]], body=body(""))
    ((_, _, headers, data, _),) = await served.ask("HEAD /a")
    assert (("Content-Length", "99") in headers, data) == (True, b"")


async def test_interim_answers_and_trailers(served: Served) -> None:
    early = {"statusCode": 103, "rawHeaders": [["Link", "</a>"]]}
    served.record(
        said=[("response-information", early), ("response-information", {"statusCode": 100})],
        body=body("x"),
        rawTrailers=[["X-Sum", "1"]],
    )
    interim, whole = await served.ask()
    assert interim == ("interim", 103, "Early Hints", [("Link", "</a>")])
    assert whole[4] == (("X-Sum", "1"),)
    assert [step[0] for step in await served.ask(version="1.0")] == ["whole"]


async def test_an_answer_that_broke_off_breaks_off(served: Served) -> None:
    response = {"statusCode": 200, "rawHeaders": [["Content-Length", "9"]], "body": body("half", truncated=True)}
    served.record(kind="abort", error={"code": "ECONNRESET"}, response=response)
    served.record("/none", kind="abort", error={"code": "E_RULE_CLOSE"})
    served.record("/reset", kind="abort", error={"code": "ECONNRESET"})
    assert [step[0] for step in await served.ask()] == ["head", "data", "reset"]
    assert await served.ask("GET /none") == [("close",)]
    assert await served.ask("GET /reset") == [("reset",)]


async def test_events_stay_open(served: Served) -> None:
    response = {"statusCode": 200, "headers": {"content-type": "text/event-stream"}, "body": body("data: 1\n\n")}
    served.record(kind="abort", response=response)
    with anyio.move_on_after(0.05) as scope:
        await served.ask()
    assert scope.cancelled_caught
    assert [step[0] for step in served.stage.channel.done] == ["head", "data"]


async def test_a_page_that_its_client_left_comes_after_a_complete_one(served: Served) -> None:
    response = {"statusCode": 200, "headers": {"transfer-encoding": "chunked"}, "body": body("half")}
    served.record(kind="abort", response=response)
    served.record(body=body("whole"))
    assert [(await served.ask())[0][3] for _ in range(2)] == [b"whole", b"whole"]


async def test_streams_that_were_left_keep_their_place(served: Served) -> None:
    response = {"statusCode": 200, "headers": {"content-type": "application/x-ndjson"}, "body": body("{}")}
    served.record(kind="abort", response=response)
    served.record(body=body("whole"))
    with anyio.move_on_after(0.05):
        await served.ask()
    assert [step[0] for step in served.stage.channel.done] == ["head", "data"]
    assert (await served.ask())[0][3] == b"whole"


async def test_recordings_of_one_id_are_told_apart(served: Served) -> None:
    """Sessions that were merged may have an id twice."""
    for text in ("one", "two"):
        served.recorded.add("request", "same", method="GET", url=f"http://shop.test/{text}", path=f"/{text}")
        served.recorded.add("response", "same", statusCode=200, body=body(text))
    assert [(await served.ask(f"GET /{text}"))[0][3] for text in ("one", "two")] == [b"one", b"two"]


async def test_what_took_its_time_takes_it_again(served: Served) -> None:
    timing = {"startTimestamp": 0.0, "headersSentTimestamp": 20.0, "responseSentTimestamp": 60.0}
    served.record(body=body("x"), timingEvents=timing)
    began = time.monotonic()
    assert [step[0] for step in await served.ask(latency=1.0)] == ["head", "data", "end"]
    assert time.monotonic() - began >= 0.06


async def test_the_host_counts_for_proxied_requests_and_where_that_is_said(served: Served) -> None:
    served.record(body=body("x"))
    assert (await served.ask("GET http://other.test/a"))[0][1] == 503
    assert (await served.ask("GET http://shop.test/a"))[0][1] == 200
    assert (await served.ask())[0][1] == 200
    served.cassette = None
    assert (await served.ask(match=MatchOptions(("path", "host"))))[0][1] == 503


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": -1},
        {"statusCode": True},
        {"statusCode": 10**30},
        {"rawHeaders": [["X-A", "b\r\nSet-Cookie: c=d"]]},
        {"rawHeaders": [["a b", "c"]]},
        {"rawHeaders": [["X-A", "日"]]},
        {"rawTrailers": [["X-A", "b\x00"]], "body": body("x")},
        {"body": {"size": 1, "text": ["x"]}},
        {"body": {"size": 1, "base64": 5}},
    ],
)
async def test_what_no_head_can_hold_is_not_given_again(served: Served, answer: Any) -> None:
    """A session may come from elsewhere: it must not be able to write an answer of its own, nor end the run."""
    served.record(**answer)
    ((_, status, _, text, _),) = await served.ask()
    assert status == 503
    assert b"cannot be given again" in text


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        ({"rawHeaders": [[]], "headers": {"x-a": "b"}}, (("x-a", "b"),)),
        ({"rawHeaders": [["X-A", "b"], ["c"], [1, 2], "d", None]}, (("X-A", "b"),)),
        ({"rawHeaders": {"a": "b"}, "headers": None}, ()),
        ({"rawHeaders": [["X-A", "b"]], "statusMessage": "a\r\nb", "rawTrailers": [[]]}, (("X-A", "b"),)),
        ({"rawHeaders": [["X-A", "b"]], "statusMessage": {"a": 1}, "said": [("response-information", {"statusCode": "x"})]}, (("X-A", "b"),)),
    ],
)  # fmt: skip
async def test_what_means_nothing_is_left_out(served: Served, answer: Any, headers: Any) -> None:
    served.record(**{"body": body(""), **answer})
    ((_, status, fields, _, _),) = await served.ask()
    assert status == 200
    assert tuple(pair for pair in fields if pair[0].lower() != "content-length") == headers
