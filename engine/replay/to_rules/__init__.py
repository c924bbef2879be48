"""`replay --to-rules`: a session written as a rule file."""
