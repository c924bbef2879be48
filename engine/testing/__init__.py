"""The recorder in test suites: a pytest plugin, and the client of the control API that it uses.

Nothing here imports the recorder itself, which runs in a process of its own. `Recorder` starts one for other test
runners. pytest imports this package in every run, so its modules are loaded when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockrec.testing.client import ControlClient, ControlError
    from mockrec.testing.exchanges import Exchange, Request, Response
    from mockrec.testing.fixture import Mockrec
    from mockrec.testing.recorder import Recorder, RecorderError

_MODULES = {
    "ControlClient": "client",
    "ControlError": "client",
    "Exchange": "exchanges",
    "Mockrec": "fixture",
    "Recorder": "recorder",
    "RecorderError": "recorder",
    "Request": "exchanges",
    "Response": "exchanges",
}
__all__ = [
    "ControlClient",
    "ControlError",
    "Exchange",
    "Mockrec",
    "Recorder",
    "RecorderError",
    "Request",
    "Response",
]


def __getattr__(name: str) -> object:
    """Load the module of a name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
