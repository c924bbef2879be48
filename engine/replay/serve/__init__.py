"""The step `replay` and `replay --serve`: requests answered from a session."""
