"""Regular expressions that are compiled when they are first used: a start defines two hundred, a run uses a part."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Late:
    """Stands for a compiled expression. After the first use of a method, that of the expression is called directly."""

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self._given = pattern, flags

    def __getattr__(self, name: str) -> Any:
        pattern, flags = self._given
        value = getattr(re.compile(pattern, flags), name)
        setattr(self, name, value)
        return value


def late_regex(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return an expression whose mistakes raise `re.error` when it is used, not here. For those that take long to
    compile, and that no plain exchange needs."""
    return cast("re.Pattern[AnyStr]", _Late(pattern, flags))
