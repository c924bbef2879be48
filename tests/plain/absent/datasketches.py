"""Stands where datasketches would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("datasketches is not here")
