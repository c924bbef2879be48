"""What a rule asks of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """`{equals, regex, includes, absent, present, gt, gte, lt, lte}`; None means not asked for.

    A pattern, here and in `When`, is one of RE2 unless it is a `PythonRegex`.
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


@dataclass(frozen=True, slots=True)
class MultipartPart:
    """One entry of `multipart`; given keys must equal those of one part."""

    name: str | None = None
    filename: str | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """All given matchers must match. `None` (or an empty mapping) means not given; see `given`."""

    method: tuple[str, ...] | None = None
    """Upper-case names; None also for `ANY`."""
    url: str | None = None
    path: str | None = None
    path_template: str | None = None
    path_regex: str | None = None
    url_regex: str | None = None
    host: str | None = None
    hostname: str | None = None
    port: int | None = None
    protocol: str | None = None
    headers: Mapping[str, Expected] | None = None
    query: Mapping[str, Expected] | None = None
    cookies: Mapping[str, Expected] | None = None
    form: Mapping[str, Expected] | None = None
    exact_query: str | None = None
    multipart: tuple[MultipartPart, ...] | None = None
    body: str | None = None
    body_includes: str | None = None
    body_regex: str | None = None
    json: Any = None
    """Only meaningful when `"json"` is in `given` (JSON null is a value)."""
    json_includes: Any = None
    json_path: Mapping[str, Expected] | None = None
    json_schema: Mapping[str, Any] | bool | None = None
    json_rpc: Mapping[str, Any] | None = None
    websocket: bool | None = None
    not_: When | None = None
    any_of: tuple[When, ...] | None = None
    python: str | None = None
    """`handlers.py:name`, the path already made relative to the rule file's folder."""
    given: tuple[str, ...] = ()
    """The YAML keys that were given, in file order: `("method", "path")`."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """The plain YAML values as given (for explanations and for comparing two `when`s)."""
