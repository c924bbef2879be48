"""Changes of requests and responses, and the steps that make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from mockrec.engine.rules.model.steps import Delay, HeaderPairs, Step

Replacements = tuple[tuple[str, str], ...]
"""Pairs of a pattern (`patterns.py`) and a template (`\\1`, `\\g<name>`), applied one after another to every match."""


class HeaderChanges(msgspec.Struct, frozen=True):
    """Either `replace`, or any of the other fields."""

    set: HeaderPairs = ()
    """Fields that replace all fields of the same name."""
    add: HeaderPairs = ()
    remove: tuple[str, ...] = ()
    replace: HeaderPairs | None = None
    """All fields of the message, in place of its own."""


class BodyChange(msgspec.Struct, frozen=True):
    """A change of a body; exactly one kind is given."""

    data: bytes | None = None
    """A new body: `body` in UTF-8, or `json` as compact JSON."""
    is_json: bool = False
    """Whether `data` comes from `json`."""
    file: str | None = None
    """Absolute path of the file with the new body, read at each use."""
    merge_json: Any = None
    """Only meaningful when `has_merge` (JSON null is a value)."""
    has_merge: bool = False
    patch_json: tuple[Mapping[str, Any], ...] | None = None
    """Operations of RFC 6902."""
    match_replace: Replacements | None = None

    @property
    def key(self) -> str:
        """The key of the rule language, for a change that depends on the original body."""
        if self.match_replace is not None:
            return "matchReplaceBody"
        return "patchJson" if self.patch_json is not None else "mergeJson"


class RequestChanges(msgspec.Struct, frozen=True):
    """Changes of a request on its way to the server; at most one of `host` and `match_replace_host`."""

    method: str | None = None
    host: str | None = None
    """`name[:port]`."""
    protocol: str | None = None
    """`http` or `https`, also where the file says `ws` or `wss`."""
    update_host_header: bool | str | None = None
    """False keeps Host, a text replaces it, True sets it to the server's; None does so if it names another server."""
    match_replace_host: Replacements = ()
    match_replace_path: Replacements = ()
    match_replace_query: Replacements = ()
    headers: HeaderChanges = msgspec.field(default_factory=HeaderChanges)
    body: BodyChange | None = None
    python: str | None = None
    """`/absolute/handlers.py:name`: a function that gets the request after all other changes."""


class ResponseChanges(msgspec.Struct, frozen=True):
    """Changes of a response on its way to the client."""

    status: int | None = None
    headers: HeaderChanges = msgspec.field(default_factory=HeaderChanges)
    body: BodyChange | None = None
    python: str | None = None
    """`/absolute/handlers.py:name`: a function that gets the response after all other changes."""


class Change(Step, frozen=True):
    """Changes of a request before later rules are evaluated, and of the response that one of them gives."""

    name: ClassVar[str] = "change"
    final: ClassVar[bool] = False
    request: RequestChanges = msgspec.field(default_factory=RequestChanges)
    response: ResponseChanges = msgspec.field(default_factory=ResponseChanges)


class Passthrough(Step, frozen=True):
    name: ClassVar[str] = "passthrough"
    upstream: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """The options given in the rule only, under the names of `UpstreamSettings`' fields."""
    request: RequestChanges = msgspec.field(default_factory=RequestChanges)
    response: ResponseChanges = msgspec.field(default_factory=ResponseChanges)
    delay: Delay | None = None
    """The pause before the response is sent."""


class Forward(Passthrough, frozen=True):
    """`passthrough` to another server; host and protocol in `request` are applied after `to`."""

    name: ClassVar[str] = "forward"
    to_protocol: str | None = None
    """`http` or `https`; None (`to` has no scheme) keeps the request's own."""
    to_host: str = ""
    """Lower-case, an IPv6 address without brackets."""
    to_port: int | None = None
    """None: the protocol's default."""
