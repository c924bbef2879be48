"""The table of all matchers of the rule language, in the order of the reference page.

The loader (`language/when.py`), the JSON Schema, the compiler (`match.py`) and the explanations (`explain/`) are
derived from it; `spec.py` describes the fields of a row.
"""

from __future__ import annotations

from typing import Final

from mockrec.engine.rules.matching.body_rows import BODY_ROWS
from mockrec.engine.rules.matching.head_rows import HEAD_ROWS
from mockrec.engine.rules.matching.other_rows import OTHER_ROWS
from mockrec.engine.rules.matching.spec import AnySpec
from mockrec.engine.rules.model import When

MATCHERS: Final[dict[str, AnySpec]] = {row.key: row for row in (*HEAD_ROWS, *BODY_ROWS, *OTHER_ROWS)}
"""Key of the rule language → row."""


_PLACES: Final = {key: place for place, key in enumerate(MATCHERS)}


def specs_of(when: When) -> list[AnySpec]:
    """The rows of the matchers of a `when`, in the order of the table."""
    return [MATCHERS[key] for key in sorted(when.expected, key=_place)]


def _place(key: str) -> int:
    return _PLACES.get(key, len(_PLACES))  # a row that was added since is the last
