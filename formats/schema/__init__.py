"""Schema v1 of the log: every event type and object, and the way between records and typed events."""
