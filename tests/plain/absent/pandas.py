"""Stands where pandas would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("pandas is not here")
