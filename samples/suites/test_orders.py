"""A pytest suite: `pytest samples/suites`. The plugin comes with mockrec, and needs no configuration."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from mockrec.testing import Mockrec


def place_order(base_url: str, currency: str) -> Any:
    """The code under test: a client of a shop. It tries once more when the shop is busy."""
    body = json.dumps({"currency": currency}).encode()
    for _ in range(2):
        request = urllib.request.Request(f"{base_url}/orders", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:
                    raise
    raise RuntimeError("the shop is busy")


def test_an_order_is_placed(mockrec: Mockrec) -> None:
    mockrec.reply("POST /orders", status=201, json={"id": 7})
    assert place_order(mockrec.url, "EUR") == {"id": 7}
    mockrec.assert_called("method == POST and path == /orders", times=1)
    assert mockrec.exchanges("path == /orders")[0].request.json() == {"currency": "EUR"}


def test_a_busy_shop_is_asked_again(mockrec: Mockrec) -> None:
    mockrec.reply("POST /orders", status=503)
    mockrec.reply("POST /orders", status=201, json={"id": 8})
    assert place_order(mockrec.url, "EUR") == {"id": 8}
    assert [one.response.status for one in mockrec.exchanges() if one.response] == [503, 201]
    assert mockrec.pending() == []
