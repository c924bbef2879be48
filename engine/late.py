"""Modules of libraries that are imported when they are first used, because most runs do not use them.

What a start leaves for later, and why, stands in `run/prefetch.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Late:
    """Stands for a module, and imports it when an attribute is read for the first time.

    For names that a whole module uses, also in `except` clauses; where one function uses a name, an import in that
    function is plainer. A type checker sees the module itself:

        if TYPE_CHECKING:
            from OpenSSL import SSL
        else:
            SSL = Late("OpenSSL.SSL")
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)  # the next time, this method is not called
        return value
