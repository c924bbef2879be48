"""Grammar of HTTP (RFC 9110) that formats and the engine share; `engine/wire/syntax.py` has what only heads need."""

from __future__ import annotations

import re
from typing import Final

TOKEN_PATTERN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""`token` (RFC 9110, 5.6.2): names of fields, methods, parameters, cookies."""
TOKEN: Final = re.compile(TOKEN_PATTERN)

SCHEME_PATTERN: Final = r"[A-Za-z][A-Za-z0-9+.-]*"
"""`scheme` (RFC 3986, 3.1)."""

BREAKS_VALUE: Final = re.compile(r"[\r\n\0]")
"""What no field value holds (RFC 9110, 5.5): readers end a line, or the value, there."""
CONTROLS: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""The other control characters that a field value must not hold (RFC 9110, 5.5); HTAB is allowed."""

BODILESS_STATUSES: Final = frozenset({204, 304})
"""Final statuses whose responses end with the head (RFC 9112, 6.3; RFC 9110, 15.3.5 and 15.4.5)."""
