"""Grammar of HTTP (RFC 9110) that is asked for in several places."""

from __future__ import annotations

import re
from typing import Final

TOKEN_PATTERN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""`token` (RFC 9110, 5.6.2): names of fields, methods, parameters."""
TOKEN: Final = re.compile(TOKEN_PATTERN)
TOKEN_BYTES: Final = re.compile(TOKEN_PATTERN.encode())
LOWERCASE_TOKEN_BYTES: Final = re.compile(TOKEN_PATTERN.replace("A-Z", "").encode())
"""Names of fields in HTTP/2 (RFC 9113, 8.2.1)."""
BODILESS_STATUSES: Final = frozenset({204, 304})
"""Final statuses whose responses have no content (RFC 9110, 15.3.5 and 15.4.5)."""
