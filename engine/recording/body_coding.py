"""Character sets that ASCII is not a part of."""

from __future__ import annotations

import codecs

from mockrec.engine.wire.multipart import header_parameter


def utf8_of(content_type: str) -> codecs.IncrementalDecoder | None:
    """What turns a body of this type into text piece by piece, where its bytes cannot be searched as they are."""
    charset = (header_parameter(content_type, "charset") or "").lower().replace("_", "-")
    if not charset.startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return None
    try:
        return codecs.getincrementaldecoder(charset)("replace")
    except LookupError:
        return None
