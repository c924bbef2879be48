"""The interface of a protocol: what a row of `table.py` says, and what is known of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from mockrec.formats.operations.message import Headers, OperationMessage

Facts = Mapping[str, tuple[Any, ...]]
"""Name of the filter language → its values in a message: texts, or numbers (durations in milliseconds)."""

MOST_CALLS: Final = 100
"""Calls of a batch that are named; all are counted."""
_MOST_SHOWN = 3


class FactType(Enum):
    """The type of a fact's values in the filter language."""

    TEXT = "text"
    NUMBER = "number"
    DURATION = "duration"


class Operation(msgspec.Struct, frozen=True):
    """What a request asks for."""

    protocol: str
    """The row's name."""
    names: tuple[str, ...] = ()
    """The name of each call, without repetitions; empty if the message is malformed."""
    facts: Facts = msgspec.field(default_factory=dict)
    finding: str = ""
    """Why the message is malformed, in a sentence; empty if it is not."""

    @property
    def name(self) -> str:
        """The name: of a batch, its first calls. Empty for a malformed message."""
        if len(self.names) <= _MOST_SHOWN:
            return ", ".join(self.names)
        return f"{', '.join(self.names[:_MOST_SHOWN])}, … {len(self.names) - _MOST_SHOWN} more"


class ProtocolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol. No function raises for a message, whatever it holds, except as its docstring says."""

    name: str
    """As in the log: `operation: {protocol}`."""
    hints: tuple[str, ...]
    """Texts of which at least one is in every request of this protocol: in its URL, its header fields (names in lower
    case), or its body. Readers of whole sessions skip all requests without any hint."""
    recognise: Callable[[str, str, Headers], bool]
    """Method, request target and header fields of a request → whether it is certainly of this protocol. Called for
    requests with a new head while a session is recorded, so it is cheap and reads no body."""
    request: Callable[[OperationMessage], Operation | None]
    """A request → its operation; None if it has not the form of this protocol. It is asked about every request that no
    other protocol has claimed, recognised or not. Raises `MalformedMessageError`, which counts if it was recognised."""
    response: Callable[[OperationMessage], Facts] = lambda message: {}
    """A response → its facts; empty if it is none of this protocol. The request's body is not known here. Raises
    `MalformedMessageError`."""
    event: Callable[[Any], Operation | None] = lambda document: None
    """The JSON of a WebSocket message from the client → the operation that it starts, if it does."""
    facts: Mapping[str, FactType] = msgspec.field(default_factory=dict)
    """The names of the filter language that this protocol has."""
    named_by_head: bool = False
    """Whether the head names the operation (and trailers the outcome), so that messages whose body was cut have one,
    too; `data` may be None then."""
    match_key: Callable[[OperationMessage], Any | None] = lambda message: None
    """A request → plain JSON data that stands for its body when a recording is searched (`replay --serve`): two
    requests that mean the same give the same. None: the body counts as it is. Raises `MalformedMessageError`."""


def distinct(names: list[str]) -> tuple[str, ...]:
    """Return names without repetitions, in order, `MOST_CALLS` at most."""
    return tuple(dict.fromkeys(names))[:MOST_CALLS]


def merged(facts: Sequence[Facts]) -> Facts:
    """Return the facts of all calls of a batch: each value once."""
    found: dict[str, dict[Any, None]] = {}
    for one in facts:
        for name, values in one.items():
            found.setdefault(name, {}).update(dict.fromkeys(values))
    return {name: tuple(values) for name, values in found.items()}
