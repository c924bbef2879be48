"""How two values of one kind are compared: one file for each kind."""
