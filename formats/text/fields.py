"""Fields of a message (RFC 9110, 5) as a table by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def header_table(raw_headers: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Lower-case name → value, in the order of the first occurrences.

    Repeated fields are joined with `, ` (RFC 9110, 5.3), cookies with `; ` (RFC 9113, 8.2.3); `set-cookie` cannot be
    joined (RFC 9110, 5.3) and is always a list. Pseudo-headers (RFC 9113, 8.3) are entries too.
    """
    table: dict[str, Any] = {}
    for raw_name, value in raw_headers:
        name = raw_name.lower()
        if name == "set-cookie":
            table.setdefault(name, []).append(value)
        elif name in table:
            table[name] += ("; " if name == "cookie" else ", ") + value
        else:
            table[name] = value
    return table
