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


def specs_of(when: When) -> list[AnySpec]:
    """The rows of the matchers of a `when`, in the order of the table."""
    return [spec for key, spec in MATCHERS.items() if key in when.expected]
