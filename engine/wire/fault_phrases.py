"""Error messages for faults of clients: what was found, what was expected, and the likely fix.

A message is derived from the bytes when a request is refused, so that valid requests cost nothing. It goes to the
client, to the log (`errorMessage`) and to stderr. Values of fields and targets, which may be secret, are not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mockrec.engine.wire import fault_codes as codes
from mockrec.engine.wire.parts import Fault
from mockrec.engine.wire.request_line import METHODS, is_text
from mockrec.engine.wire.syntax import FIELD_LINE, TOKEN_BYTES, WHITESPACE

_QUOTED: Final = 64
"""The most characters that are quoted. A longer text is not cut: redaction would not recognize half of a secret."""
_TOO_EARLY = "the client closed the connection in the middle of a request"
_OTHER_PROTOCOL = "another protocol than HTTP is passed on only"
_WORD = re.compile(rb"[!-~]{1,64}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def fault_words(fault: Fault) -> str:
    """Return the message for a fault of a client; empty if there is nothing to add to its code."""
    if fault.detail:
        return fault.detail
    words = _WORDS.get(fault.code)
    return words if isinstance(words, str) else "" if words is None else words(fault)


def quoted(data: bytes | str) -> str:
    """Return bytes of a peer in double quotes, with escapes for what is not printable; only their number if many."""
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    if len(text) > _QUOTED:
        return f"(a text of {len(text)} characters)"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def bad_value(value: bytes) -> str:
    """Return why a field value is invalid (RFC 9110, 5.5), as a predicate."""
    found = _CONTROL.search(value)
    if found is not None:
        return f"has the control character 0x{found[0][0]:02X} at position {found.start() + 1}"
    return "begins or ends with a blank"


_STATES: Final = re.compile(r"Invalid input \w+\.(\w+) in state \w+\.(\w+)")
_OF_PYTHON: Final = re.compile(r"[0-9]*|.*(?:\bb?'|<|__|object|argument).*", re.DOTALL)


def library_words(error: Exception) -> str:
    """Return the message of a library's exception about a peer's bytes, without the names of Python's types."""
    text = str(error)
    state = _STATES.search(text)
    if state is not None:
        kind = state[1].removeprefix("RECV_").removeprefix("SEND_").replace("_", " ")
        return f"{kind} is not allowed in the state {state[2].replace('_', ' ').lower()}"
    if _OF_PYTHON.fullmatch(text):
        return "a frame does not belong to its stream, or cannot be read"
    return text[0].lower() + text[1:].rstrip(".")


def _escaped(character: str) -> str:
    if character.isprintable():
        return "\\" + character if character in '"\\' else character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def _words_of_line(fault: Fault) -> list[bytes]:
    return fault.raw.split(b"\n", 1)[0].removesuffix(b"\r").split(b" ")


def _method(fault: Fault) -> str:
    word = _words_of_line(fault)[0]
    if word.upper() in METHODS and word not in METHODS:
        return f"the method {quoted(word)} has to be written {word.upper().decode()}: methods are case-sensitive"
    if word == b"PRI":
        return "the method PRI begins a connection of HTTP/2, not a request"
    expected = "expected a method, a target and a version, as in GET / HTTP/1.1"
    # The first bytes of another protocol may hold a password (SOCKS).
    found = f"; found {quoted(word)}" if _WORD.fullmatch(word) else ""
    return f"the request does not begin as HTTP: {expected}{found}"


def _target(fault: Fault) -> str:
    words = _words_of_line(fault)
    target = words[1] if len(words) > 1 else b""
    if not target:
        return "two blanks follow the method; expected one"
    bad = re.search(rb"[\x00-\x1f\x7f]", target)
    if bad is not None:
        return (
            f"the target has the control character 0x{bad[0][0]:02X} at position {bad.start() + 1}; percent-encode it"
        )
    if not is_text(target):
        return "the target holds bytes that are not UTF-8, or control characters; percent-encode them"
    if words[0] == b"CONNECT":
        return "the target of CONNECT is not host:port"
    return "the target is neither a path (/…) nor a whole URL (http://…) nor *"


def _version(fault: Fault) -> str:
    lines = fault.raw.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        if not line.endswith(b"\r"):
            return f"line {number} of the head ends with a bare line feed; expected CR LF"
    words = _words_of_line(fault)
    if len(words) < 3:
        return "the request line has no version; expected a method, a target and a version, as in GET / HTTP/1.1"
    # It is not quoted: how much of it was received when it is refused depends on how the bytes were cut.
    return "the version, or what follows it in the request line, is not HTTP/1.1 or HTTP/1.0"


def _field_line(fault: Fault) -> str:
    lines = fault.raw.split(b"\r\n")
    for number, line in enumerate(lines[1:], 2):
        if line and FIELD_LINE.fullmatch(line) is None:
            return f"line {number} of the head {_bad_line(line)}"
    return "a field of the trailers is malformed; expected name: value and CR LF"


def _bad_line(line: bytes) -> str:
    name, colon, value = line.partition(b":")
    if line[:1] in b" \t":
        return "begins with a blank; folded lines are obsolete, write the field in one line"
    if not colon:
        return "has no colon; expected name: value"
    if name[-1:] in b" \t" and name:
        return "has a blank before the colon; expected name: value"
    if not name or TOKEN_BYTES.fullmatch(name) is None:
        return f"has the name {quoted(name)}; expected letters, digits and !#$%&'*+-.^_`|~"
    return f"has a value that {bad_value(value.strip(WHITESPACE))}"


def _field(fault: Fault, name: str) -> list[str]:
    """Return the values of a field of the head, as far as the head was read."""
    lines = fault.raw.decode("latin-1").split("\r\n")[1:]
    pairs = fault.raw_headers or [line.partition(":")[::2] for line in lines]
    return [pair[1].strip(" \t") for pair in pairs if pair[0].lower() == name]


def _length(fault: Fault) -> str:
    return f"Content-Length is {quoted(', '.join(_field(fault, 'content-length')))}; expected digits that are a number"


def _lengths(fault: Fault) -> str:
    if fault.raw.startswith(b"CONNECT "):
        return "a CONNECT request cannot have a body"
    return f"Content-Length stands {len(_field(fault, 'content-length'))} times in the head; expected one"


def _coding(fault: Fault) -> str:
    found = quoted(", ".join(_field(fault, "transfer-encoding")))
    return f"Transfer-Encoding is {found}; expected chunked alone, in HTTP/1.1, and no Content-Length with it"


def _host(fault: Fault) -> str:
    hosts = _field(fault, ":authority") or _field(fault, "host")
    words = _words_of_line(fault)
    if len(words) > 1 and (words[0] == b"CONNECT" or b"://" in words[1]):
        if len(hosts) > 1:
            return f"Host stands {len(hosts)} times in the head; expected one"
        return "the target does not name a host that can be"
    if not hosts:
        return "there is no Host field, and the target names no host"
    if len(hosts) > 1:
        return f"Host stands {len(hosts)} times in the head; expected one"
    return f"the host {quoted(hosts[0])} is not a host name"


def _port(fault: Fault) -> str:
    found = _field(fault, ":authority") or _field(fault, "host")
    words = _words_of_line(fault)
    if len(words) > 1 and (words[0] == b"CONNECT" or b"://" in words[1]):
        return "the port in the target is not a number from 1 to 65535"
    return f"the port of the host {quoted(', '.join(found))} is not a number up to 65535"


_WORDS: Final[dict[str, str | Callable[[Fault], str]]] = {
    codes.INVALID_METHOD: _method,
    codes.INVALID_URL: _target,
    codes.INVALID_CONSTANT: "HTTP/1.1 or HTTP/1.0 has to follow the target; a blank in a target is %20",
    codes.INVALID_VERSION: _version,
    codes.INVALID_HEADER: _field_line,
    codes.INVALID_LENGTH: _length,
    codes.REPEATED_LENGTH: _lengths,
    codes.INVALID_CODING: _coding,
    codes.INVALID_CHUNK: "the chunked body is malformed; expected a size in hexadecimal, CR LF, the bytes, CR LF",
    codes.OVERFLOW: "the head, or the trailers, are larger than server.limits.head allows",
    codes.EARLY_EOF: _TOO_EARLY,
    codes.BAD_HOST: _host,
    "PREPROCESSING_FAILED": _port,
    "ECONNRESET": "the client reset the connection in the middle of a request",
    "ERR_HTTP_REQUEST_TIMEOUT": "the request was not complete in time (server.timeouts.head, server.timeouts.bodyIdle)",
    "ERR_TOO_MANY_CONNECTIONS": "as many connections are open as server.limits.connections allows",
    "ERR_PROXY_AUTH_REQUIRED": "the user and the password of server.auth have to be in Proxy-Authorization",
    "UNKNOWN_PROTOCOL_NO_DESTINATION": f"{_OTHER_PROTOCOL} in a tunnel (CONNECT, SOCKS), which names the destination",
    "UNKNOWN_PROTOCOL_NO_DESTINATION_PORT": f"{_OTHER_PROTOCOL} in a tunnel that names a port",
}
