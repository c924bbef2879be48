"""What is nearest to a request that nothing answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mockrec.engine.replay.serve.nearest import Nearest, distance


def facts(path: str, method: str = "GET", body: str = "", **query: str) -> Any:
    named = {name: [value] for name, value in query.items()}
    return {"websocket": False, "method": method, "path": path, "query": named, "body": {"text": body}}


@pytest.fixture
def nearest() -> Iterator[Nearest]:
    made = Nearest()
    yield made
    made.close()


def fill(nearest: Nearest, *recorded: Any) -> None:
    for place, one in enumerate(recorded):
        nearest.add(place, one)
    nearest.done()


def test_the_same_path_comes_before_any_other(nearest: Nearest) -> None:
    fill(nearest, *(facts(f"/a/{number}") for number in range(50)), facts("/a/b", "POST", "x"))
    assert nearest.places(facts("/a/b", body="y")) == [50]


def test_what_has_most_in_common_is_among_them_however_many_there_are(nearest: Nearest) -> None:
    many = [facts("/a", "POST", f"{number}", page=f"{number}") for number in range(3000)]
    fill(nearest, *many)
    assert nearest.places(facts("/a", "POST", "2500", page="x"))[0] == 2500
    assert nearest.places(facts("/a", "POST", "x", page="2600"))[0] == 2600
    assert len(nearest.places(facts("/a", "POST", "x", page="2600"))) <= 20


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/users/17/orders", "/users/16/orders"),
        ("/v2/users", "/v1/users"),
        ("/api/v1/cart/items", "/v1/cart/items"),
        ("/users/17/order", "/users/16/orders"),
        ("/", None),
        ("/entirely/else", None),
        ("", None),
        ("/\ud800", None),
    ],
)
def test_the_path_that_is_most_alike(nearest: Nearest, asked: str, found: str | None) -> None:
    paths = ["/users/16/orders", "/v1/users", "/v1/cart/items", "/static/app.js", "/health"]
    fill(nearest, *map(facts, paths))
    places = nearest.places(facts(asked))
    assert places
    if found is not None:
        assert paths[places[0]] == found


def test_an_empty_session_has_nothing(nearest: Nearest) -> None:
    fill(nearest)
    assert nearest.places(facts("/a")) == []


def test_what_does_not_count_is_not_asked_for(nearest: Nearest) -> None:
    fill(nearest, {"websocket": False, "query": {"a": ["1"]}})
    assert nearest.places({"websocket": False, "query": {"a": ["2"]}}) == [0]


def test_another_path_is_farther_away_than_another_value() -> None:
    assert (
        distance([("path", 1, 2)]) > distance([("method", 1, 2)]) > distance([("host", 1, 2)]) > distance([("x", 1, 2)])
    )
