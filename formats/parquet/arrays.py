"""Arrow arrays and scalars from Python values, by way of buffers.

`pa.array`, `pa.scalar` and kernels with Python operands import pandas wherever it is installed, to see whether the
value is one of its own. That takes longer than most filters.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import pyarrow as pa


def texts(values: Iterable[str]) -> pa.Array:
    """Strings."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def integers(values: Iterable[int]) -> pa.Array:
    """Integers of 64 bits."""
    data = array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def flags(values: Iterable[bool]) -> pa.Array:
    """Booleans."""
    return integers(values).cast(pa.bool_())


def text(value: str) -> Any:
    """One string."""
    return texts([value])[0]


def integer(value: int) -> Any:
    """One integer."""
    return integers([value])[0]


def number(value: float) -> Any:
    """One floating-point number."""
    return pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(array("d", [value]))])[0]


def flag(value: bool) -> Any:
    """One boolean."""
    return flags([value])[0]
