"""Rules: the YAML language, its matchers, the selection of a rule and its explanation. Pure: no I/O, no clock."""
