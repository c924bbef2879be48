"""The YAML reader and the value types of the rule language; problems have a line and a column."""
