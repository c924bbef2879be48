"""The filter language: `status >= 500 and url contains /orders/`.

`tokens.py` and `parser.py` read an expression by the names of `fields.py` and the values of `values.py` into a
`Plan`: numbered tests (`checks.py`) and how they combine. Three back ends answer the tests, and must agree:
`predicate.py` for records as dicts, `typed.py` for lines of JSON of which only the needed fields are decoded,
`arrow.py` for the columns of Parquet files.
"""

from __future__ import annotations

from mockrec.formats.query.errors import FilterError
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan

__all__ = ["FilterError", "Plan", "parse"]
