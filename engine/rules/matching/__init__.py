"""Which rule matches a request: matchers compiled, requests as matchers see them, the choice of a rule."""
