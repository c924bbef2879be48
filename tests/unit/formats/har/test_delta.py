"""Deltas of records: an element of `_mockrec.events` that is not one is an error with its place."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.har.delta import unpack


@pytest.mark.parametrize(
    ("delta", "problem"),
    [
        (7, "is not the delta of a record"),
        ({"set": {}}, "is not the delta of a record"),
        ({"type": "request", "without": ["type"]}, "changes the type of its record"),
        ({"type": "request", "set": {"type": "response"}}, "changes the type of its record"),
    ],
)
def test_an_event_that_is_no_delta(delta: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(unpack({"request": {}, "_mockrec": {"id": "a"}}, [delta]))
