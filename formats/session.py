"""Public name of `mockrec.formats.sessions.session`: a session of any format, read record by record."""

from mockrec.formats.sessions.session import Line, Reading, Session, open_session

__all__ = ["Line", "Reading", "Session", "open_session"]
