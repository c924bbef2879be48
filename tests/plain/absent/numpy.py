"""Stands where NumPy would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("NumPy is not here")
