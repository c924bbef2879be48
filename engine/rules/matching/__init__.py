"""Selection of the rule for a request: the matchers, the view of a request that they get, the index of rules."""
