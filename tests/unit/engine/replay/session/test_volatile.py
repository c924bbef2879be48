"""What is volatile by nature, and what only looks so."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.replay.session.volatile import VOLATILE, loosened


def loose(method: str = "GET", path: str = "/a", **facts: Any) -> Any:
    return loosened({"method": method, "path": path, **facts})


def fields(path: str = "/a", method: str = "GET", **given: str) -> set[str]:
    """Names that count for nothing."""
    names = {name.replace("__", "-"): [value] for name, value in given.items()}
    return {name for name, values in loose(method, path, query=names)["query"].items() if values == [VOLATILE]}


def test_nothing_volatile_is_the_same_object() -> None:
    facts: Any = {
        "method": "POST", "path": "/a%20b", "query": {"a": ["1"], "state": ["open"]},
        "body": {"json": {"a": [1, 0.5, {"state": "x"}], "b": None}},
    }  # fmt: skip
    assert loosened(facts) is facts
    for body in ({"text": "x"}, {"form": {"a": ["1"]}}, {"part": [["a", None, "1"]]}, {"undecodable": True}, "any"):
        assert loosened({"method": "POST", "path": "/", "body": body})["body"] is body


@pytest.mark.parametrize(
    ("given", "path", "volatile"),
    [
        ({"code": "ab", "grant_type": "authorization_code"}, "/x", {"code"}),
        ({"state": "ab", "response_type": "code"}, "/x", {"state"}),
        ({"code": "ab", "state": "cd"}, "/auth/callback", {"code", "state"}),
        ({"code": "ab", "state": "cd"}, "/signin-oidc", {"code", "state"}),
        ({"code": "SplxlOBeZQQYbYS6WxSbIA", "state": "xyz"}, "/done", {"code", "state"}),
        ({"code": "90210", "state": "CA"}, "/zip", set()),
        ({"code": "EUR"}, "/oauth/prices", set()),
        ({"state": "open", "client_id": "5"}, "/orders", set()),
        ({"state": "af0ifjsldkj9", "client_id": "5"}, "/x", {"state"}),
        ({"nonce": "n-0S6_WzA2Mj"}, "/x", {"nonce"}),
        ({"nonce": "5"}, "/x", set()),
        ({"Code_Verifier": "x", "codeChallenge": "y"}, "/x", {"Code_Verifier", "codeChallenge"}),
        ({"signature": "x"}, "/x", set()),
        ({"expires": "5", "signature": "x"}, "/x", {"expires", "signature"}),
        ({"sig": "x", "se": "y", "sp": "r"}, "/x", {"sig", "se"}),
        ({"idempotency__key": "1", "idempotencyKey": "2"}, "/x", {"idempotency-key", "idempotencyKey"}),
        ({"policy": "gold", "date": "x"}, "/x", set()),
        ({"request_id": "00000000-0000-4000-8000-000000000001"}, "/x", set()),
    ],
)
def test_names(given: dict[str, str], path: str, volatile: set[str]) -> None:
    assert fields(path, **given) == volatile


def test_ids_of_requests_that_change_something() -> None:
    assert fields("/x", "POST", request_id="00000000-0000-4000-8000-000000000001") == {"request_id"}
    assert fields("/x", "POST", request_id="order-7") == set()


def test_repeated_values_of_a_volatile_name_are_one() -> None:
    assert loose(query={"code_challenge": ["1", "2"]}) == loose(query={"code_challenge": ["3"]})


def test_numbers_and_depth() -> None:
    body = {
        "json": {"a": 1.0, "b": [2.0, 2.5, True, 1e300], "c": {"clientMutationId": "1", "d": {"nonce": "n-0S6_WzA2Mj"}}}
    }
    assert loose("POST", body=body)["body"] == {
        "json": {"a": 1, "b": [2, 2.5, True, 1e300], "c": {"clientMutationId": VOLATILE, "d": {"nonce": VOLATILE}}}
    }
    told = loose("POST", body=body)["body"]["json"]
    assert (type(told["a"]), type(told["b"][2]), type(told["b"][3])) == (int, bool, float)
    assert body["json"]["a"] == 1.0 and type(body["json"]["a"]) is float  # what was given stays


def test_files_are_never_volatile() -> None:
    body = {"part": [["idempotency_key", None, "1"], ["client_token", "a.txt", "file"], [None, None, "x"]]}
    assert loose("POST", body=body)["body"]["part"] == [
        ["idempotency_key", None, VOLATILE], ["client_token", "a.txt", "file"], [None, None, "x"]
    ]  # fmt: skip


def test_letters_in_paths() -> None:
    assert loose(path="/%7Ea%2Fb%41%2D%5F%30")["path"] == "/~a%2FbA-_0"
