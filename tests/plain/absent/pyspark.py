"""Stands where pyspark would be found: mockrec does not install it, so nothing may need it."""

raise ImportError("pyspark is not here")
