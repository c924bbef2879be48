"""How two sessions are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mockrec.formats.diff.model.finding import Location

if TYPE_CHECKING:
    from mockrec.formats.operations.grpc.descriptors import Descriptors
    from mockrec.formats.query import Plan

AnyOrder = Callable[[Location], bool]
"""Whether the order of the array at a place does not count."""


@dataclass(frozen=True)
class DiffOptions:
    """How sessions are compared; what to do with the findings is `collect.Filters`."""

    strict: bool = False
    """Compare volatile values as they are."""
    requests: bool = False
    """Compare requests too; otherwise they only pair."""
    timing: bool = False
    map_host: dict[str, str] = field(default_factory=dict)
    """Host of A → host of B."""
    pair_header: str = ""
    """A request header, in lower case, that names an exchange."""
    any_order: tuple[AnyOrder, ...] = ()
    """Arrays of JSON in which the order says nothing."""
    only: Plan | None = None
    """Which exchanges are compared at all."""
    descriptors: Descriptors | None = None
    """What names the fields of gRPC messages, instead of the descriptors that the sessions carry."""
