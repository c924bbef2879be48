"""`when`: the matchers of a rule, and the expected values that are more than JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

_WORD = re.compile("_([a-z])")


class Condition(msgspec.Struct, frozen=True):
    """`{equals, regex, includes, absent, present, gt, gte, lt, lte}`; None means not tested.

    `regex`, like every pattern of a `When`, has RE2's syntax unless it is a `PythonRegex`.
    """

    equals: Any = None
    regex: str | None = None
    includes: str | None = None
    absent: bool = False
    present: bool = False
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


Expected = Any
"""A scalar (str, int, float, bool, None), a tuple of scalars (each must be present), or a `Condition`."""


class MultipartPart(msgspec.Struct, frozen=True):
    """One entry of `multipart`; the given keys must equal those of one part."""

    name: str | None = None
    filename: str | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True, init=False)
class When:
    """The matchers of a rule; all of them must match a request."""

    expected: Mapping[str, Any]
    """Key of the rule language → the value that its matcher expects (`matching/table.py` lists the matchers)."""
    given: tuple[str, ...]
    """The keys as given in the file, in file order. One that every request matches (`method: ANY`) has no matcher."""
    source: Mapping[str, Any]
    """The plain YAML values as given, for comparing two `when`s."""

    def __init__(
        self, *, given: tuple[str, ...] = (), source: Mapping[str, Any] | None = None, **expected: Any
    ) -> None:
        """`expected`: values by key, in the language's case or Python's (`path_template`, `not_`).

        None means no matcher, unless `given` holds the key: JSON null can be a value to compare with.
        """
        values = {_in_the_language(key): value for key, value in expected.items()}
        values = {key: value for key, value in values.items() if value is not None or key in given}
        self._set(values, given, {} if source is None else source)

    @classmethod
    def loaded(cls, expected: Mapping[str, Any], given: tuple[str, ...], source: Mapping[str, Any]) -> When:
        """The fields as they are."""
        made = cls.__new__(cls)
        made._set(expected, given, source)
        return made

    def _set(self, expected: Mapping[str, Any], given: tuple[str, ...], source: Mapping[str, Any]) -> None:
        object.__setattr__(self, "expected", expected)
        object.__setattr__(self, "given", given)
        object.__setattr__(self, "source", source)


@cache
def _in_the_language(key: str) -> str:
    """Return `pathTemplate` for `path_template`, and `not` for `not_`."""
    return _WORD.sub(_upper, key).rstrip("_")


def _upper(found: re.Match[str]) -> str:
    return found[1].upper()
