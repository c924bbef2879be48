"""The command `replay --to-rules`: write a session as a rule file."""
