"""The step `replay` and the command `replay --serve`: answer requests from a recorded session."""
