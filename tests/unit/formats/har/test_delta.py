"""Records as what an entry implies and how they differ: what is no such thing is told, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.formats.har.delta import unpack


@pytest.mark.parametrize(
    ("residual", "problem"),
    [
        (7, "is no residual of a record"),
        ({"set": {}}, "is no residual of a record"),
        ({"type": "request", "without": ["type"]}, "says two things of its type"),
        ({"type": "request", "set": {"type": "response"}}, "says two things of its type"),
    ],
)
def test_what_is_no_residual(residual: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(unpack({"request": {}, "_mockrec": {"id": "a"}}, [residual]))
