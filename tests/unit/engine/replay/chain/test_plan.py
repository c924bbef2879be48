"""What is handed on in a recording: what a client took from an answer, and not what is equal by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockrec.engine.replay.chain.plan import ChainPlan, ChainSurvey
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.requests import RecordedRequest

T = "a8f3k2m9x7"


class Story:
    """Exchanges one after another; `links` says of each request what comes from where."""

    def __init__(self) -> None:
        self.survey = ChainSurvey()
        self.number = 0
        self.links: list[list[str]] = []
        self.drafts: list[EditableRequest] = []

    def __call__(
        self, method: str, target: str, body: Any = None, *, got: Any = None, head: Any = (), asked: Any = ()
    ) -> Story:
        self.number += 1
        data = b"" if body is None else json.dumps(body).encode()
        draft = EditableRequest(method, target, [["Content-Type", "application/json"], *asked], data)
        self.drafts.append(draft)
        links = self.survey.links(draft, self.number, 10.0 * self.number)
        self.links.append([link.text for link in links])
        identity = str(self.number)
        record = {"type": "request", "url": f"http://a.test{target}"}
        self.survey.will_send(RecordedRequest(identity, "c", record, 0.0, order=self.number), draft)
        text = "" if got is None else json.dumps(got)
        answer = {
            "type": "response",
            "timestamp": f"1970-01-01T00:00:{10 * self.number + 5:02d}Z",
            "rawHeaders": [["Content-Type", "application/json"], *head],
            "body": {"size": len(text), "text": text},
        }
        self.survey.answer(identity, answer, None)
        return self

    def plan(self) -> ChainPlan:
        return self.survey.finish()


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.mark.parametrize(
    ("made", "used", "link"),
    [
        # A token, wherever it stands.
        ({"got": {"t": T}}, {"asked": [["Authorization", f"Bearer {T}"]]}, "POST /users json:$.t → header:authorization"),
        ({"got": {"t": T}}, {"target": f"/x?q={T}"}, "POST /users json:$.t → query:q"),
        # The id of something that was created, in its path and where it is referred to.
        ({"got": {"id": 1}}, {"target": "/users/1"}, "POST /users json:$.id → url"),
        ({"got": {"id": 1}}, {"target": "/api/users/1/orders"}, "POST /users json:$.id → url"),
        ({"got": {"data": {"id": 1}}}, {"target": "/orders", "body": {"user_id": 1}}, "POST /users json:$.data.id → json:$.user_id"),
        ({"got": {"id": 1}}, {"target": "/x?userId=1"}, "POST /users json:$.id → query:userId"),
        ({"head": [["Location", "/users/1"]]}, {"target": "/users/1"}, "POST /users header:location/url → url"),
        ({"head": [["Location", "/users/1"]]}, {"target": "/users/1/orders"}, "POST /users header:location/path[*] → url"),
        # Cookies and validators.
        ({"head": [["Set-Cookie", "lang=en"]]}, {"asked": [["Cookie", "a=b; lang=en"]]}, "POST /users cookie:lang → cookie:lang"),
        ({"head": [["ETag", '"1"']]}, {"target": "/users", "asked": [["If-None-Match", '"1"']]},
         "POST /users header:etag → header:if-none-match"),
        # A link that was followed.
        ({"got": {"next": "/users?page=2"}}, {"target": "/users?page=2"}, "POST /users json:$.next/url → url"),
    ],
)  # fmt: skip
def test_what_came_from_an_answer(story: Story, made: dict[str, Any], used: dict[str, Any], link: str) -> None:
    story("POST", "/users", **made)("GET", used.pop("target", "/x"), **used)
    assert story.links == [[], [link]] or link in story.links[1]
    assert story.plan().places["1"]


@pytest.mark.parametrize(
    ("made", "used"),
    [
        ({"got": {"page": 1, "ok": True, "lang": "en"}}, {"target": "/x?page=1&ok=true&lang=en"}),
        ({"got": {"page": 1, "ok": True, "lang": "en"}}, {"body": {"page": 1, "ok": True, "lang": "en"}}),
        ({"got": {"id": 1}}, {"target": "/orders/1"}),  # of something else
        ({"got": {"id": 1}}, {"body": {"order_id": 1}}),
        ({"got": {"id": 1}}, {"body": {"count": 1}}),
        ({"got": {"id": 0}}, {"target": "/users/0"}),
        ({"got": {"id": None}}, {"target": "/users/null"}),
        ({"got": {"code": "DE"}}, {"body": {"code": "DE"}}),
        ({"got": {"name": "ann"}}, {"body": {"name": "ann"}}),
        ({"got": {"day": "2026-01-31"}}, {"target": "/x?day=2026-01-31"}),
        ({"head": [["Set-Cookie", "a=en"]]}, {"asked": [["Cookie", "b=en"]]}),
        ({"head": [["ETag", '"1"']]}, {"target": "/other", "asked": [["If-None-Match", '"1"']]}),
        ({"head": [["Content-Type", "application/json"]]}, {"asked": [["X-Type", "application/json"]]}),
        ({"got": {"home": "/dashboard"}}, {"target": "/dashboard"}),  # nothing in it can be another
    ],
)
def test_what_is_equal_by_accident(story: Story, made: dict[str, Any], used: dict[str, Any]) -> None:
    story("POST", "/users", **made)("GET", used.pop("target", "/x"), **used)
    assert story.links == [[], []]


def test_what_the_client_said_first_is_its_own(story: Story) -> None:
    story("POST", f"/x?nonce={T}", got={"nonce": T})("GET", f"/y?nonce={T}")
    assert story.links == [[], []]


def test_an_answer_that_came_later_is_no_source(story: Story) -> None:
    survey = story.survey
    story("POST", "/a", got={"t": T})
    assert (
        survey.links(EditableRequest("GET", f"/x?q={T}", [], b""), 2, 14.0) == ()
    )  # it began before the answer was there
    assert survey.links(EditableRequest("GET", f"/x?q={T}", [], b""), 2, 15.0) != ()


def test_things_come_from_where_they_were_made_and_cookies_from_where_they_were_set_last(story: Story) -> None:
    cookie = [["Set-Cookie", f"sid={T}"]]
    story("GET", "/users", got={"items": [{"id": 7}]}, head=cookie)
    story("POST", "/users", got={"id": 7}, head=cookie)
    story("GET", "/users/7", asked=[["Cookie", f"sid={T}"]])
    assert story.links[2] == ["POST /users json:$.id → url", "POST /users cookie:sid → cookie:sid"]


def test_only_what_is_used_is_kept(story: Story) -> None:
    story("POST", "/users", got=[{"id": n, "uuid": f"{T}{n}"} for n in range(1, 50)])
    story("GET", "/users/7")
    plan = story.plan()
    assert plan.values.keys() == {"userid\x007"}
    assert plan.places == {"1": {"json:$[6].id": "7"}}
    assert [link.text for link in plan.links(story.drafts[1], 2, 0.0)] == story.links[1]


def test_what_was_not_sent_has_no_answer(story: Story) -> None:
    record = {"type": "response", "rawHeaders": [["X-Token", T]], "body": {"size": 0}}
    story.survey.answer("nobody", record, None)
    story("GET", f"/x?q={T}")
    assert story.links == [[]]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch, story: Story) -> None:
    monkeypatch.setattr("mockrec.engine.replay.chain.plan._MOST", 10)
    story("POST", "/users", got={"t": T})
    story("POST", "/users", got=[{"id": n} for n in range(1, 50)])
    story("GET", f"/x?q={T}")("GET", "/users/49")
    assert story.links[2:] == [[], ["POST /users json:$[*].id → url"]]


def test_long_bodies_are_not_looked_into(story: Story) -> None:
    story("POST", "/users", got={"t": T, "x": "y" * 1024 * 1024}, head=[["X-Id", f"{T}2"]])
    story("GET", f"/x?q={T}&r={T}2")
    assert story.links[1] == ["POST /users header:x-id → query:r"]


def test_messages_of_websockets_use_values_too(story: Story) -> None:
    story("POST", "/users", got={"t": T})
    data = json.dumps({"auth": T}).encode()
    (link,) = story.survey.message_links(data, {"timestamp": "1970-01-01T00:01:00Z"})
    assert link.text == "POST /users json:$.t → json:$.auth"
    (again,) = story.plan().message_links(data, {"timestamp": "1970-01-01T00:01:00Z"})
    assert again.slot == link.slot


def test_an_abort_is_no_source(story: Story) -> None:
    draft = EditableRequest("POST", "/users", [], b"")
    story.survey.links(draft, 1, 0.0)
    story.survey.will_send(RecordedRequest("1", "c", {"type": "request"}, 0.0, order=1), draft)
    answer = {"rawHeaders": [["X-Token", T]], "body": {"size": 0}}
    story.survey.answer("1", {"type": "abort", "response": answer, **answer}, None)
    assert story.survey.links(EditableRequest("GET", f"/x?q={T}", [], b""), 2, 0.0) == ()


def test_a_mark_is_known_by_its_name_where_the_answer_shows_the_value(story: Story) -> None:
    mark = "redacted-0123abcd"
    story("GET", "/login", got={"csrf": f"{T}1"})("GET", "/login", got={"csrf": f"{T}2", "page": "redacted-00000000"})
    story("POST", "/login", {"csrf": mark, "page": mark})("POST", "/login", {"csrf": "b9g4k3m0y8"})
    assert story.links[2:] == [["GET /login json:$.csrf → json:$.csrf"], []]
    (link,) = story.plan().links(story.drafts[2], 3, 0.0)
    assert [source.id for source in link.sources] == ["2", "1"]


def test_each_page_has_a_token_of_its_own_however_many_there_are(story: Story) -> None:
    mark = "redacted-0123abcd"
    for number in range(20):
        story("GET", f"/form{number}", got={"csrf": f"{T}{number}"})("POST", "/form", {"csrf": mark})
    plan = story.plan()
    for number in range(20):
        order = 2 * number + 2
        (link,) = plan.links(story.drafts[order - 1], order, 0.0)
        assert link.sources[0].id == str(order - 1)
