"""A module that is imported when it is first used."""

from __future__ import annotations

import sys

import pytest

from mockrec.engine.late import Late


def test_it_is_imported_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    late = Late("colorsys")
    assert "colorsys" not in sys.modules
    assert late.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert "colorsys" in sys.modules
    assert vars(late)["rgb_to_hsv"] is sys.modules["colorsys"].rgb_to_hsv  # read without `__getattr__` from now on


def test_what_is_missing_is_an_error_of_the_one_who_uses_it() -> None:
    late = Late("mockrec.there_is_none")
    with pytest.raises(ImportError):
        _ = late.anything
    with pytest.raises(AttributeError):
        _ = Late("colorsys").there_is_none
