"""Stands where obstore would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("obstore is not here")
