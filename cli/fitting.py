"""Makes a table fit a terminal: which columns may be narrower, and which may be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mockrec.cli import cells

GAP = 2
"""Blanks between two columns."""
_LEAST = 5


class Fit(NamedTuple):
    """How a table is made to fit `width` columns of a terminal."""

    width: int
    shrink: Mapping[int, int] = MappingProxyType({})
    """Column → its least width; less, down to 5, only if nothing else helps."""
    middle: frozenset[int] = frozenset()
    """Columns whose texts are cut in the middle; others are cut at the end."""
    optional: Sequence[int] = ()
    """Columns that are left out if the others do not fit, the first one first."""
    hidden: frozenset[int] = frozenset()
    """Columns that are left out in any case, because no row has a text there."""

    def columns(self, widths: Sequence[int]) -> dict[int, int]:
        """Return the columns that are shown, each with its width."""
        shown = {column: one for column, one in enumerate(widths) if column not in self.hidden}
        for column in self.optional:
            least = sum(min(one, self.shrink.get(at, one)) + GAP for at, one in shown.items()) - GAP
            if least <= self.width:
                break
            del shown[column]
        self._narrow(shown, self.shrink)
        self._narrow(shown, dict.fromkeys(self.shrink, _LEAST))
        return shown

    def _narrow(self, shown: dict[int, int], least: Mapping[int, int]) -> None:
        """Make the widest columns narrower, down to their least widths, until all fit."""
        over = sum(shown.values()) + GAP * (len(shown) - 1) - self.width
        while over > 0:
            able = {column: shown[column] for column, one in least.items() if shown.get(column, 0) > one}
            if not able:
                return
            widest = max(able, key=lambda column: able[column])
            next_widest = max((one for column, one in able.items() if column != widest), default=0)
            floor = max(least[widest], next_widest - 1, able[widest] - over)
            over -= shown[widest] - floor
            shown[widest] = floor

    def cut(self, column: int, text: str, width: int) -> str:
        """Cut a text to the width of its column."""
        if column in self.middle:
            return cells.cut_url(text, width)
        return cells.cut(text, width) if column in self.shrink else text
