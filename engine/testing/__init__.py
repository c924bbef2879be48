"""The recorder in test suites: a pytest plugin, and the client of the control API that it uses.

Nothing here imports the recorder itself, which runs in a process of its own. `Recorder` starts one for other test
runners.
"""

from __future__ import annotations

from mockrec.testing.client import ControlClient, ControlError
from mockrec.testing.exchanges import Exchange, Request, Response
from mockrec.testing.fixture import Mockrec
from mockrec.testing.recorder import Recorder, RecorderError

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
