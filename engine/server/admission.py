"""Which requests belong to the control API, and which to a scope.

A server has an `Admission` only with a control API. The scope of a request is named, in this order, by the user name of
the proxy credentials (`scope-NAME`), by the field `mockrec-scope`, or it is the only open one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.scope import Scope
from mockrec.engine.message.target_uri import TargetUri, read_target_uri
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.transport.local_addresses import LocalEndpoints
from mockrec.engine.wire.parts import Fault, RequestHead

SCOPE_FIELD: Final = "mockrec-scope"
USER_PREFIX: Final = "scope-"
UNKNOWN_SCOPE: Final = "ERR_UNKNOWN_SCOPE"

Admitted = tuple[RequestHead, TargetUri, ExchangeLog | None, Scope | None]
"""The request as rules see it, the log if it is not that of the session, and the scope."""


class Admission:
    """The open scopes, and the address of the control API."""

    def __init__(self, endpoint: LocalEndpoints, log: ExchangeLog, steps: CompiledSteps) -> None:
        """`endpoint`: where the control API listens; `log`: one that records nothing; `steps`: those that answer
        requests for the control API."""
        self.log = log
        self.steps = steps
        self.scopes: dict[str, Scope] = {}
        """The open scopes by name."""
        self.was_opened = False
        """Whether a scope was ever opened: before that, the field is an ordinary one."""
        self.open = 0
        """Exchanges that have begun and not ended."""
        self._endpoint = endpoint

    def admit(self, head: RequestHead, target: TargetUri, client: ClientConnection) -> Admitted | Fault:
        """Return what a request belongs to, without the field that names its scope; a Fault for an unknown scope."""
        is_proxied = target.is_absolute or target.context.tunnel is not None
        if is_proxied and self._endpoint.is_local(target.hostname.strip("[]"), target.port):
            return head, target, self.log, None
        scope = client.scope
        if scope is not None and scope.closed:
            return _unknown(scope.name, 407)
        if target.is_absolute:
            found = self.scope_of_credentials(head.headers)
            if isinstance(found, Fault):
                return found
            scope = found or scope
        if self.was_opened and (given := head.headers.get(SCOPE_FIELD)) is not None:
            name = str(given).encode("latin-1", "replace").decode("utf-8", "replace")
            if scope is None and (scope := self._named(name)) is None:
                return _unknown(name, 400)
            head = head.with_fields([one for one in head.raw_headers if one[0].lower() != SCOPE_FIELD], head.odd)
            again = read_target_uri(head, client.local_port, target.context)
            assert isinstance(again, TargetUri)  # only a field was taken out that it is not made of
            target = again
        if scope is None and len(self.scopes) == 1:
            scope = next(iter(self.scopes.values()))
        return head, target, None, scope

    def scope_of_credentials(self, headers: Mapping[str, Any]) -> Scope | Fault | None:
        """Return the scope that proxy credentials name, None if they name none, a Fault if it is not open."""
        given = scope_credentials(headers)
        if given is None:
            return None
        name = given[0].decode("utf-8", "replace")
        return self._named(name) or _unknown(name, 407)

    def _named(self, name: str) -> Scope | None:
        """Return an open scope by its name, or its percent-encoded name: some clients allow no colon in a user."""
        return self.scopes.get(name) or self.scopes.get(unquote(name))


def scope_credentials(headers: Mapping[str, Any]) -> tuple[bytes, bytes] | None:
    """Return the scope's name and the password of `Proxy-Authorization` (RFC 7617); None if its user is no scope.

    The name may contain colons, and so ends at the last one.
    """
    scheme, _, encoded = str(headers.get("proxy-authorization", "")).partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).rpartition(b":")
    except (binascii.Error, ValueError):
        return None
    prefix = USER_PREFIX.encode()
    return (user.removeprefix(prefix), password) if colon and user.startswith(prefix) else None


def _unknown(name: str, status: int) -> Fault:
    shown = f'"{name}"' if len(name) <= 200 and name.isprintable() else "of the request"
    return Fault(
        UNKNOWN_SCOPE, status, detail=f"no scope {shown} is open; PUT /v1/scopes/NAME of the control API opens one"
    )
