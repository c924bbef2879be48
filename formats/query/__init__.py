"""The filter language: `status >= 500 and url contains /orders/`.

`tokens.py` and `parser.py` parse an expression, with the names of `fields.py` and the values of `values.py`, to a
`Plan`: numbered tests (`checks.py`), and how their answers combine. Three back ends compute the answers and must agree:
`predicate.py` for records as dicts, `typed.py` for lines of JSON of which only the needed fields are decoded, and
`arrow.py` for the columns of Parquet files.
"""

from __future__ import annotations

from mockrec.formats.query.errors import FilterError
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan

__all__ = ["FilterError", "Plan", "parse"]
