"""Public name of `mockrec.formats.schema.events`: the event types, and the way from a record to its typed event.

Imported with `*`, so that a new event class needs no line here.
"""

from mockrec.formats.schema.connection_events import *  # noqa: F403
from mockrec.formats.schema.events import *  # noqa: F403
from mockrec.formats.schema.events import __all__ as __all__
from mockrec.formats.schema.exchange_events import *  # noqa: F403
from mockrec.formats.schema.session_events import *  # noqa: F403
