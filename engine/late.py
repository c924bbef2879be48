"""Modules that are imported when they are first used, because most runs do not use them.

What a start leaves for later, and why, stands in `run/prefetch.py`.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import anyio.to_thread

_imported: Final[set[str]] = set()


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


async def imported(*modules: str) -> None:
    """Return when the modules are imported, which is done in a thread: the event loop serves others meanwhile.

    To be awaited before code of the event loop needs them; it imports a module again that cannot be imported, for the
    exception. After the first time, this waits for nothing.
    """
    for name in modules:
        if name not in _imported:
            await anyio.to_thread.run_sync(import_now, name)


def import_now(name: str) -> None:
    """Import a module, if that is possible, for `imported` to know."""
    with suppress(ImportError):
        import_module(name)
        _imported.add(name)
