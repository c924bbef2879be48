"""The file of a scope in a folder of cassettes: one for each scope, with a name that is safe on every file system."""

from __future__ import annotations

import hashlib
import re
from typing import Final

PLACEHOLDER: Final = "{scope}"
"""What stands for the scope in the name of an output, as in `cassettes/{scope}.jsonl`."""
_LONGEST = 100
"""Characters of a name. File systems take 255 bytes, of which extensions and folders of bodies need some."""
_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_DIGEST = re.compile(r"-[0-9a-f]{16}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])(?:\..*)?")
"""Names of devices on Windows, with any extension."""


def scope_file(template: str, scope: str) -> str:
    """Return the path of a scope's cassette: `template` with the scope's name in place of `{scope}`."""
    return template.replace(PLACEHOLDER, scope_name(scope))


def scope_name(scope: str) -> str:
    """Return a file name for a scope. Different scopes have different names, also where case does not count.

    A scope of lower-case letters, digits, `_`, `-` and `.` is its own name. Other characters become `-`, and a hash of
    the scope is appended, as it is to a name that is too long, reserved, or looks as if it had such a hash.
    """
    is_safe = (
        0 < len(scope) <= _LONGEST
        and _UNSAFE.search(scope) is None
        and scope[0] not in ".-"
        and scope[-1] != "."
        and not _RESERVED.fullmatch(scope)
        and _DIGEST.fullmatch(scope[-17:]) is None
    )
    if is_safe:
        return scope
    digest = hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    words = _UNSAFE.sub("-", scope.lower()).strip("-.")[: _LONGEST - len(digest) - 1].strip("-.")
    if not words or _RESERVED.fullmatch(words):
        words = "scope"
    return f"{words}-{digest}"
