"""Which requests of the control API are refused, whatever they ask for."""

from __future__ import annotations

import pytest

from mockrec.engine.run.control.guard import is_loopback_name, refusal

TOKEN = "a-token-of-this-run"
RIGHT = {"authorization": f"Bearer {TOKEN}", "host": "127.0.0.1:4711"}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, None),
        ({"authorization": f"bearer  {TOKEN} "}, None),
        ({"authorization": ""}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": "Bearer ä"}, 401),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:4711"}, 403),
        ({"sec-fetch-site": "same-origin"}, 403),
        ({"sec-fetch-site": "none"}, None),
        ({"host": "evil.test:4711"}, 403),
        ({"host": "127.0.0.1:4711, evil.test"}, 403),
        ({":authority": "evil.test"}, 403),
        ({"host": "localhost"}, None),
        ({"host": "[::1]:80"}, None),
    ],
)
def test_what_is_refused(changed: dict[str, str], status: int | None) -> None:
    refused = refusal({**RIGHT, **changed}, "127.0.0.1", TOKEN)
    assert (None if refused is None else refused[0]) == status


def test_the_name_in_the_target_counts_too() -> None:
    refused = refusal(RIGHT, "evil.test", TOKEN)
    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name", ["", "localhost.evil.test", "127.0.0.1.nip.io", "0.0.0.0", "10.0.0.1", "2130706433", "0x7f.1", "::2"]
)
def test_other_names(name: str) -> None:
    assert not is_loopback_name(name)
