"""Recognise gRPC by its content type, and name the called method by the path.

`application/grpc` and `application/grpc+proto` (gRPC over HTTP/2), `application/grpc-web` and
`application/grpc-web-text` (for browsers, over any version of HTTP; the latter is base64).
"""

from __future__ import annotations

import re
from enum import StrEnum

from mockrec.formats.text.late_regex import late_regex

_TYPE = late_regex(r"application/grpc(-web-text|-web)?(?:\+([\w.-]+))?\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_METHOD = late_regex(r"/((?:[^/?#]+/)*[^/?#]+/[^/?#]+)")


class GrpcKind(StrEnum):
    """How messages are put into a body."""

    GRPC = "grpc"
    WEB = "grpc-web"
    WEB_TEXT = "grpc-web-text"


def grpc_kind(content_type: str) -> GrpcKind | None:
    """Return the kind of a body by its content type; None if it is not gRPC."""
    if content_type[:16].lower() != "application/grpc":  # most bodies: without the regular expression
        return None
    found = _TYPE.fullmatch(content_type.strip())
    return None if found is None else GrpcKind("grpc" + (found[1] or "").lower())


def is_protobuf(content_type: str) -> bool:
    """Return whether the messages of a gRPC body are protobuf: `+proto`, or no suffix; not `+json` and others."""
    found = _TYPE.fullmatch(content_type.strip())
    return found is not None and (found[2] or "proto").lower() in ("proto", "protobuf")


def method_of(path: str) -> str:
    """Return `shop.v1.Cart/AddItem` for the path `/shop.v1.Cart/AddItem`; empty if the path names no method.

    A prefix of the path (a proxy's) stays part of the service's name: it cannot be told from it.
    """
    found = _METHOD.fullmatch(path.partition("?")[0])
    return found[1] if found is not None else ""


def service_of(method: str) -> str:
    """Return the service of a method: `shop.v1.Cart` of `shop.v1.Cart/AddItem`."""
    return method.rpartition("/")[0]
