"""Rules: the YAML language, its matchers, the choice of a rule and the words that explain it. Pure."""
