"""The TLS we speak to clients: an OpenSSL context for each name they ask for, kept while it is good."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from mockrec.engine import clock
from mockrec.engine.config import TlsSettings
from mockrec.engine.tls.authority import Authority, Leaf

_VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_NEEDS_OLD_HASHES = frozenset({"TLSv1", "TLSv1.1"})
_CIPHERS_OF_OLD = b"DEFAULT:@SECLEVEL=0"
_MOST_NAMES = 1024
_RSA_BITS = 2048
"""OpenSSL accepts no shorter ones at its ordinary security level."""


class NoProtocol(SSL.Error):
    """Raise it from `choose_alpn` to refuse the client with the alert no_application_protocol (RFC 7301, 3.2).

    It comes out of `do_handshake` as it is, and is an `SSL.Error` so that whoever handles failed handshakes sends
    the alert that then waits in the buffer.
    """


class ServerContexts:
    """The contexts of one listener."""

    def __init__(
        self,
        authority: Authority,
        settings: TlsSettings,
        choose_alpn: Callable[[list[bytes]], bytes | None],
        key_log: Callable[[bytes], None] | None,
    ) -> None:
        """`choose_alpn` gets what a client offers, and may answer None: no protocol is agreed on then.

        `key_log` gets lines without their ends. It must not raise: OpenSSL has nobody to tell.
        """
        self._authority = authority
        self._version = _VERSIONS[settings.min_version]
        self._old = settings.min_version in _NEEDS_OLD_HASHES
        self._choose_alpn = choose_alpn
        self._key_log = key_log
        self._made: OrderedDict[tuple[str, str], tuple[SSL.Context, float]] = OrderedDict()
        """By name, used last at the end: the context, and when it is due (milliseconds since the epoch)."""

    def context_for(self, name: str, *, also: str = "") -> SSL.Context:
        """The context to answer `name` with, and `also`, if the client is to accept that too.

        Raises ValueError for what can be no host's name.
        """
        key = (name.lower(), also)
        made = self._made.get(key)
        if made is not None and clock.wall(clock.now()) < made[1]:
            self._made.move_to_end(key)
            return made[0]
        leaf = self._authority.leaf(key[0], also)
        context = self._make(leaf)
        self._made[key] = (context, leaf.renew_at.timestamp() * 1000)
        self._made.move_to_end(key)
        if len(self._made) > _MOST_NAMES:
            self._made.popitem(last=False)
        return context

    def _make(self, leaf: Leaf) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(self._version)
        # TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL allows only at level 0.
        if self._old or (isinstance(leaf.key, rsa.RSAPrivateKey) and leaf.key.key_size < _RSA_BITS):
            context.set_cipher_list(_CIPHERS_OF_OLD)
        context.use_certificate(leaf.certificate)
        context.use_privatekey(leaf.key)
        for certificate in leaf.chain:
            context.add_extra_chain_cert(certificate)
        # Without it OpenSSL refuses sessions that a client wants to resume. Other names have other tickets anyway.
        context.set_session_id(b"mockrec")
        context.set_alpn_select_callback(self._select)
        key_log = self._key_log
        if key_log is not None:
            context.set_keylog_callback(lambda connection, line: key_log(line))
        return context

    # The type of NO_OVERLAPPING_PROTOCOLS has no public name.
    def _select(self, connection: SSL.Connection, offers: list[bytes]) -> Any:
        chosen = self._choose_alpn(offers)
        return SSL.NO_OVERLAPPING_PROTOCOLS if chosen is None else chosen
