"""Certificates as OpenSSL presents them, without the objects and checks that pyOpenSSL puts around them.

pyOpenSSL decodes a certificate again for each connection. If it has changed inside, its methods are used.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from OpenSSL import SSL

from mockrec.engine.tls.authority import LeafCertificate

_FUNCTIONS: Final = ("BIO_new_mem_buf", "BIO_free", "d2i_X509_bio", "X509_free", "SSL_use_certificate")


class PresentedCertificate:
    """A certificate that is decoded once for all connections."""

    __slots__ = ("_decoded", "leaf")

    def __init__(self, leaf: LeafCertificate) -> None:
        self.leaf = leaf
        self._decoded = _decode(leaf.encoded)

    def use_for(self, connection: SSL.Connection) -> None:
        """Let a new connection present it. Raises SSL.Error."""
        ssl, decoded = getattr(connection, "_ssl", None), self._decoded
        if ssl is None or decoded is None or not decoded[1].SSL_use_certificate(ssl, decoded[0]):
            connection.use_certificate(self.leaf.certificate)  # or raises what is wrong


@cache
def _internals(functions: tuple[str, ...]) -> tuple[Any, Any] | None:
    """Return what pyOpenSSL calls OpenSSL with, its functions and cffi; None if one of the functions is missing."""
    library, ffi = getattr(SSL, "_lib", None), getattr(SSL, "_ffi", None)  # the stubs do not export them
    return (library, ffi) if ffi is not None and all(hasattr(library, name) for name in functions) else None


def _decode(encoded: bytes) -> tuple[Any, Any] | None:
    """Return OpenSSL's form of a certificate, which is freed with the returned object, and OpenSSL's functions; None if
    that is not possible."""
    known = _internals(_FUNCTIONS)
    if known is None:
        return None
    library, ffi = known
    memory = ffi.from_buffer(encoded)  # the source has no copy of its own
    source = library.BIO_new_mem_buf(memory, len(encoded))
    certificate = library.d2i_X509_bio(source, ffi.NULL)
    library.BIO_free(source)
    return None if certificate == ffi.NULL else (ffi.gc(certificate, library.X509_free), library)
