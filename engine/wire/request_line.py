"""Method and target of a request (RFC 9110, 9.1 and 7.1), as every version of HTTP has them."""

from __future__ import annotations

import codecs
import re
from typing import Final

from mockrec.engine.wire.syntax import TOKEN_BYTES

NO_HOST: Final = "client-odd:no-host"
"""Tag: an HTTP/1.1 request without a Host field, whose target names the host (RFC 9112, 3.2)."""
RAW_TARGET: Final = "client-odd:raw-target"
"""Tag: the target holds UTF-8 that is not percent-encoded (RFC 3986, 2.1)."""
UNKNOWN_METHOD: Final = "client-odd:unknown-method"
"""Tag: the method is not registered (RFC 9110, 16.1)."""

METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL"
    b" MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE"
    b" SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
"""The methods that llhttp knows, which are the registered ones and some more. Any other token is a method too."""

# C1 control characters, and what ends a line for readers of Unicode.
_BAD_CHARACTER = re.compile("[\x80-\x9f\u2028\u2029]")


def is_method(word: bytes) -> bool:
    """Whether a word is a method (RFC 9110, 9.1): a token.

    Refused are a known method in other letters, because servers disagree on what it is, and the word that HTTP/2's
    preface begins with (RFC 9113, 3.4).
    """
    return word in METHODS or (
        TOKEN_BYTES.fullmatch(word) is not None and word.upper() not in METHODS and word != b"PRI"
    )


def is_text(target: bytes, *, complete: bool = True) -> bool:
    """Whether the bytes of a target beyond ASCII are UTF-8 without control characters (RFC 3629, 3).

    Unless they are `complete`, the last character may be cut.
    """
    if target.isascii():
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(target, complete)
    except UnicodeDecodeError:
        return False
    return _BAD_CHARACTER.search(text) is None


def target_text(target: str) -> str:
    """Return the target of a head, which is latin-1 so that it can be sent again, as text: UTF-8 (RFC 3986, 2.5)."""
    return target if target.isascii() else target.encode("latin-1").decode("utf-8", "replace")


def sent_target(text: str) -> str:
    """Return a target that is text as heads have it: the inverse of `target_text`."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def unusual_parts(method: str, target: str) -> tuple[str, ...]:
    """Return the tags for what is valid in method and target, and unusual (RFC 9110, 16.1; RFC 3986, 2.1)."""
    tags = () if method.encode("latin-1") in METHODS else (UNKNOWN_METHOD,)
    return tags if target.isascii() else (*tags, RAW_TARGET)
