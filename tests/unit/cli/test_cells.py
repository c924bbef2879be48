"""Cells of tables: no wider than people read, and as wide as a terminal shows them."""

from __future__ import annotations

import tracemalloc

import pytest

from mockrec.cli import printing
from mockrec.cli.cells import MOST, cut, pad, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("日本", 4), ("é", 1), ("e\u0301", 1), ("ｆ", 2), ("👍", 2), ("a\u200bb", 2), ("…", 1)],
)
def test_the_width_is_a_terminals(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(pad(text, 10)) == 10
    assert pad(text, 10, right=True).endswith(text)


@pytest.mark.parametrize("text", ["x" * 500, "日" * 500, "x日" * 300, "e\u0301" * 500, "x" * 200 + "日"])
def test_what_is_too_wide_ends_with_an_ellipsis(text: str) -> None:
    short = cut(text)
    assert short.endswith("…")
    assert MOST - 2 < width(short) <= MOST
    assert text.startswith(short[:-1])


@pytest.mark.parametrize("text", ["", "x" * MOST, "日" * (MOST // 2), "e\u0301" * MOST])
def test_what_fits_stays(text: str) -> None:
    assert cut(text) == text


def test_one_long_cell_does_not_widen_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["x" * 1_000_000, "1"], ["y", "2"], ["日本", "3"]]
    printing.table(("A", "B"), rows, whole="--as json")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [width(line.rpartition(" ")[0]) for line in lines] == [MOST + 1] * 4
    assert "1 cell of more than 200 characters cut; --as json shows them whole" in err


def test_a_table_of_long_cells_takes_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    tracemalloc.start()
    try:
        lines = printing.table_lines(("A",), ([printing.escape_start("\x1b" * 1_000_000)] for _ in range(1000)))
        assert sum(map(len, lines)) < 1000 * MOST + 10
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert "1000 cells" in capsys.readouterr().err
