"""TLS of clients: issues a certificate for each name that they ask for, and keeps it while it is valid.

One OpenSSL context serves all names: creating one for each took a third of the time of a new name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from mockrec.engine import clock
from mockrec.engine.config import TlsSettings
from mockrec.engine.tls.authority import Authority, LeafCertificate
from mockrec.engine.tls.presented import PresentedCertificate

_VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_NEEDS_OLD_HASHES = frozenset({"TLSv1", "TLSv1.1"})
_OLD_CIPHERS = b"DEFAULT:@SECLEVEL=0"
_MOST_NAMES = 1024
_RSA_BITS = 2048
"""OpenSSL accepts no shorter keys at its default security level."""


class NoProtocol(SSL.Error):
    """Raised by `choose_alpn` to refuse the client with the alert no_application_protocol (RFC 7301, 3.2).

    `do_handshake` lets it through. It is an `SSL.Error` so that the code that handles failed handshakes sends the
    alert, which is in the buffer then.
    """


def alpn_selector(http2: str) -> Callable[[list[bytes]], bytes | None]:
    """Return the choice among the protocols that a client offers (RFC 7301, 3.2), for a value of `server.http2`."""
    ours = {"true": (b"h2", b"http/1.1"), "fallback": (b"http/1.1", b"h2")}.get(http2, (b"http/1.1",))

    def choose(offers: list[bytes]) -> bytes | None:
        for protocol in ours:
            if protocol in offers:
                return protocol
        others = [protocol for protocol in offers if protocol != b"h2"]
        if not others:
            raise NoProtocol  # the client speaks HTTP/2 alone, which is switched off
        # An unknown protocol may still turn out to be HTTP, or be relayed; a client that gets none may leave.
        return others[0]

    return choose


class ServerContexts:
    """The TLS of one listener: one OpenSSL context for all names, and a certificate for each."""

    def __init__(
        self,
        authority: Authority,
        settings: TlsSettings,
        choose_alpn: Callable[[list[bytes]], bytes | None],
        key_log: Callable[[bytes], None] | None,
    ) -> None:
        """`choose_alpn` gets the protocols that a client offers, and may return None: then none is negotiated.

        `key_log` gets lines without their line breaks. It must not raise: OpenSSL would ignore the exception.
        """
        self._authority = authority
        self._version = _VERSIONS[settings.min_version]
        self._old = settings.min_version in _NEEDS_OLD_HASHES
        self._choose_alpn = choose_alpn
        self._key_log = key_log
        self._context: SSL.Context | None = None
        self._leaves: OrderedDict[tuple[str, str], PresentedCertificate] = OrderedDict()
        """By name and second name, the most recently used last."""

    def connection_for(self, name: str, *, also: str = "") -> SSL.Connection:
        """A new connection with a certificate for `name`, and for `also`, if that is given.

        Raises ValueError for a text that cannot be a host name.
        """
        presented = self._presented(name, also)
        if self._context is None:
            self._context = self._make(presented.leaf)
        connection = SSL.Connection(self._context, None)
        # All certificates have one key, which is in the context; only the certificate differs.
        presented.use_for(connection)
        connection.set_accept_state()
        return connection

    def leaf_for(self, name: str, also: str = "") -> LeafCertificate:
        """The certificate for a name: a kept one, or a new one if that is about to expire. Raises ValueError."""
        return self._presented(name, also).leaf

    def _presented(self, name: str, also: str) -> PresentedCertificate:
        key = (name.lower(), also)
        presented = self._leaves.get(key)
        if presented is None or clock.wall(clock.now()) >= presented.leaf.renew_at.timestamp() * 1000:
            presented = self._leaves[key] = PresentedCertificate(self._authority.leaf(key[0], also))
            if len(self._leaves) > _MOST_NAMES:
                self._leaves.popitem(last=False)
        self._leaves.move_to_end(key)
        return presented

    def _make(self, leaf: LeafCertificate) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(self._version)
        # TLS 1.0 and 1.1 sign with MD5 and SHA-1, which OpenSSL allows only at level 0.
        if self._old or (isinstance(leaf.key, rsa.RSAPrivateKey) and leaf.key.key_size < _RSA_BITS):
            context.set_cipher_list(_OLD_CIPHERS)
        context.use_certificate(leaf.certificate)
        context.use_privatekey(leaf.key)
        for certificate in leaf.chain:
            context.add_extra_chain_cert(certificate)
        # Without it, OpenSSL refuses to resume sessions; it compares the host names itself.
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
