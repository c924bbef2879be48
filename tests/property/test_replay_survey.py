"""A session whose requests repeat: what is made once for equal requests is what would be made for each."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.replay.chain.plan import ChainSurvey
from mockrec.engine.replay.send.survey import Judgement, SurveyedRequest, judge, survey
from mockrec.engine.replay.send.target import Targets, outgoing
from mockrec.engine.replay.session.editable import EditableRequest, set_header
from mockrec.engine.replay.session.requests import RecordedRequest, recorded_requests
from mockrec.engine.upstream.options import UpstreamOptions

TOKEN = "a81bc81b-dead-4e5d-abff-90865d1e13b1"
MARK = "redacted-0123abcd"
TARGETS = Targets({"shop.test": ("http", "127.0.0.1", 3000)}, UpstreamOptions(UpstreamSettings()))
REQUESTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["request", "request", "request", "websocket-request"]),
        "method": st.sampled_from(["GET", "POST"]),
        "url": st.sampled_from(["http://shop.test/a", "http://other.test/a", "https://shop.test/a"]),
        "path": st.sampled_from(["/a", f"/a?id={TOKEN}", "*", f"/a?token={MARK}"]),
        "httpVersion": st.sampled_from(["1.1", "2.0"]),
        "rawHeaders": st.lists(
            st.sampled_from(
                [["Host", "shop.test"], ["X-Token", TOKEN], ["Cookie", f"sid={MARK}"], ["X", "é€"], [1, 2]]
            ),
            max_size=2,
        ),
        "headers": st.sampled_from([{}, {"x-token": TOKEN}, {"accept": ["a", "b"]}]),
        "body": st.sampled_from(
            [
                {"size": 0, "text": ""},
                {"size": 36, "text": TOKEN},
                {"size": 6, "base64": "aGVsbG8h"},
                {"size": 9, "text": "cut", "truncated": True},
                {"size": 5000, "text": "x" * 5000},
                None,
            ]
        ),
    }
)
ANSWERS = st.sampled_from(["{}", f'{{"id": "{TOKEN}"}}', f'{{"token": "{TOKEN}", "sid": "x"}}', TOKEN])
SESSIONS = st.lists(st.tuples(REQUESTS, ANSWERS, st.integers(1, 3)), min_size=1, max_size=6)


def session_of(told: list[tuple[dict[str, Any], str, int]]) -> list[tuple[int, dict[str, Any]]]:
    """Each request as often as the number says, with its response."""
    records: list[dict[str, Any]] = []
    for fields, answer, times in told:
        for _ in range(times):
            identity, second = f"x{len(records)}", f"2026-01-01T00:00:{len(records) // 3 % 60:02d}.000000Z"
            own = {"id": identity, "connectionId": "c", "timestamp": second}
            records.append({**own, "type": "request-initiated"})
            records.append({**own, **fields})
            head = {"statusCode": 200, "rawHeaders": [["Content-Type", "application/json"]]}
            records.append({**own, **head, "type": "response", "body": {"size": len(answer), "text": answer}})
    return list(enumerate(records))


def filled(draft: EditableRequest) -> None:
    set_header(draft, "X-Run", "1")


def one_by_one(self: Judgement, call: RecordedRequest, find: Any = None) -> SurveyedRequest:
    return judge(call, *self._arguments, find)


@settings(max_examples=100, deadline=None)
@given(SESSIONS)
def test_equal_requests_are_judged_once(told: list[tuple[dict[str, Any], str, int]]) -> None:
    records = session_of(told)

    def looked() -> tuple[Any, ...]:
        chain, each = ChainSurvey(), []
        found = recorded_requests(records, responses=True)
        result = survey(found, TARGETS, filled, lambda data: data, None, lambda *one: each.append(one[1]), chain)
        seen = [(one.draft, one.reason, one.links) for one in each]
        plan = chain.finish()
        return result, seen, plan, sent(plan)

    def sent(plan: Any) -> list[Any]:
        judgement = Judgement(TARGETS, filled, None)
        made: list[Any] = []
        for call in recorded_requests(records):
            if not isinstance(call, RecordedRequest):
                continue
            judged = judgement.of(call, partial(plan.links, order=call.order, began=call.began))
            made.append((judged.draft, judged.reason, judged.links))
            if not judged.reason:
                if judged.outgoing is None:
                    judged.outgoing = outgoing(call.record, judged.draft, ("http", "127.0.0.1", 3000), TARGETS)
                made.append(judged.outgoing)
        return made

    once = looked()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judgement, "of", one_by_one)
        assert once == looked()


def test_a_request_with_values_of_responses_has_a_draft_of_its_own() -> None:
    fields: dict[str, Any] = {
        "type": "request", "method": "GET", "url": "http://shop.test/a", "path": f"/a?id={TOKEN}", "body": None,
    }  # fmt: skip
    records = session_of([({**fields, "path": "/a"}, f'{{"id": "{TOKEN}"}}', 1), (fields, "{}", 2)])
    chain, each = ChainSurvey(), []
    found = recorded_requests(records, responses=True)
    survey(found, TARGETS, filled, lambda data: data, None, lambda *one: each.append(one[1]), chain)
    assert [len(one.links) for one in each] == [0, 1, 1]
    assert each[1].draft == each[2].draft
    assert each[1].draft is not each[2].draft
