"""A module that is imported when it is first used."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import anyio
import pytest

from mockrec.engine.late import Late, imported


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


def test_a_module_is_imported_in_a_thread_and_then_awaited_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_of_a_test.py").write_text(
        "import threading\nthread = threading.get_ident()\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)

    async def twice() -> int:
        await imported("module_of_a_test")
        waiting = imported("module_of_a_test")
        with pytest.raises(StopIteration):
            waiting.send(None)
        return int(sys.modules["module_of_a_test"].thread)

    try:
        assert anyio.run(twice) != threading.get_ident()
    finally:
        sys.modules.pop("module_of_a_test", None)


def test_a_module_that_cannot_be_imported_is_left_to_its_user() -> None:
    async def attempt() -> None:
        await imported("mockrec.there_is_none")

    anyio.run(attempt)
