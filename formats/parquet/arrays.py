"""Arrow arrays and scalars from Python values and back, through buffers.

`pa.array`, `pa.scalar` and kernels with Python operands import pandas if it is installed, to check whether the value is
one of pandas. That takes longer than most filters. `Array.to_numpy` needs NumPy, which mockrec does not install, and
`Array.to_pylist` makes a scalar object for each value.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


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


def at_ranks(values: array[float], ranks: Sequence[int]) -> list[float]:
    """The values at these places of the sorted numbers, which are not NaN and at least two."""
    numbers = pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    # A quantile lies between two values; each of these is next to the place of a value, far from the middle.
    shares = [rank / (len(values) - 1) for rank in ranks]
    return pc.quantile(numbers, q=shares, interpolation="nearest").to_pylist()  # type: ignore[no-any-return]


_FORMATS: dict[Any, Any] = {
    pa.bool_(): "?",
    pa.int8(): "b",
    pa.uint8(): "B",
    pa.int16(): "h",
    pa.uint16(): "H",
    pa.int32(): "i",
    pa.uint32(): "I",
    pa.int64(): "q",
    pa.uint64(): "Q",
    pa.float32(): "f",
    pa.float64(): "d",
}
"""The code in `struct` of each type whose values are in one buffer, or can be cast to such a type."""


def plain(array: pa.Array) -> list[Any]:
    """The numbers or flags of an array as a list; a null is any value of the type.

    Raises `TypeError` for an array of another type.
    """
    if not len(array):
        return []
    code = _FORMATS.get(array.type)
    if code is None:
        raise TypeError(f"expected numbers or flags, got {array.type}")
    if code == "?":
        array = array.cast(pa.uint8())  # Arrow stores a boolean in one bit
    data = memoryview(array.buffers()[1])
    size = array.type.byte_width
    values: list[Any] = data[array.offset * size : (array.offset + len(array)) * size].cast(code).tolist()
    return values
