"""SOAP 1.1 and 1.2: the action (SOAP 1.1, 6.1.1; RFC 3902, 3)."""

from __future__ import annotations

import re
from typing import Final

from mockrec.formats.operations.message import Headers, MalformedMessageError, OperationMessage, header
from mockrec.formats.operations.spec import FactType, Operation, ProtocolSpec
from mockrec.formats.text.late_regex import late_regex

_ACTION: Final = late_regex(r';\s{0,20}action\s{0,20}=\s{0,20}(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_ELEMENT: Final = late_regex(r"<(?:[\w.-]{1,100}:)?Body\b[^<>]*>\s*<(?:[\w.-]{1,100}:)?([\w.-]{1,200})")
"""The first element in the Body. No part can match the `<` that another begins with, so the search is linear."""


def _recognise(method: str, target: str, headers: Headers) -> bool:
    return method == "POST" and (
        "soapaction" in headers or header(headers, "content-type").lower().startswith("application/soap+xml")
    )


def _action(message: OperationMessage) -> str:
    quoted = _ACTION.search(header(message.headers, "content-type"))
    if quoted is not None:
        return quoted[1] or quoted[2] or ""
    return header(message.headers, "soapaction").strip().strip('"')


def _request(message: OperationMessage) -> Operation | None:
    if not _recognise(message.method, message.target, message.headers):
        return None
    name = _action(message)
    if not name:
        element = _ELEMENT.search(message.text)
        if element is None:
            raise MalformedMessageError("the SOAP request names no action, and no Body with an element was found")
        name = element[1]
    return Operation("soap", (name,), {"soap.action": (name,)})


SOAP: Final = ProtocolSpec(
    name="soap",
    hints=("soapaction", "application/soap+xml"),
    recognise=_recognise,
    request=_request,
    facts={"soap.action": FactType.TEXT},
)
